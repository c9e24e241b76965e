-- What happens by the clock: one row for each thing that is due again and again, taken by whichever worker locks it.

create table schedule (
    -- What is to be done, as the timetable of the program calls it.
    kind text not null,
    -- What it is about, such as a report's id; '' where there is only one.
    subject text not null default '',
    due_at timestamptz not null,
    -- The moment of its last tick.
    ticked_at timestamptz,
    primary key (kind, subject)
) with (fillfactor = 50);

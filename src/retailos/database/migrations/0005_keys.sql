-- A key that is being rotated has two secrets that open for a while; it may be used from its own networks alone, and it
-- is told when it was used last, to the minute.
alter table api_key
    add column networks cidr[] not null default '{}',
    add column former_digest bytea check (octet_length(former_digest) = 32),
    add column former_until timestamptz(3),
    add column last_used_at timestamptz(3),
    add check ((former_digest is null) = (former_until is null));

-- Secrets that are used and never shown, such as what a webhook authenticates itself with: sealed (AES-256-GCM) with a
-- key that the database does not have. Owner and name are sealed with each, so that no row opens in another's place.
create table secret (
    owner_table text not null,
    owner_row text not null,
    name text not null,
    -- Which key has sealed it, so that a newer one can take its place.
    key_id text not null,
    -- 12 bytes of nonce, then what was sealed, then 16 bytes that tell whether it still is.
    sealed bytea not null check (octet_length(sealed) >= 28),
    primary key (owner_table, owner_row, name)
);

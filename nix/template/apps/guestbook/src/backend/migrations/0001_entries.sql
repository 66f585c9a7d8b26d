-- The limits are those of entry.go: the database is the last to say no.
create table entries (
    id         bigint generated always as identity primary key,
    name       text not null check (char_length(name) between 1 and 80),
    message    text not null check (char_length(message) between 1 and 2000),
    created_at timestamptz not null default now()
);

-- Your tables. hookonce applies each file in this folder once, in the order of the names, each in one transaction.
-- Do not change a file after it was applied; add 0002_….sql instead. Names that begin with hookonce_ are reserved.

-- STRICT: SQLite enforces the types of the columns. Money is a whole number of cents.
create table credits (
  customer text primary key not null,
  cents    integer not null
) strict;

-- Append-only: one row per event, with the id of the event.
create table signups (
  event_id     text primary key not null,
  email        text not null,
  name         text,
  signed_up_at integer not null -- Unix milliseconds
) strict;

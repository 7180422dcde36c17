-- Your tables. hookonce applies each file of this folder once, in the order of their names, in a transaction of its
-- own. Once applied a file must not change: add 0002_….sql instead. Names that begin with hookonce_ are taken.

-- STRICT: a column keeps to its type. Money is a whole number of cents.
create table credits (
  customer text primary key not null,
  cents    integer not null
) strict;

-- Append-only: a row per event, named by the event that brought it.
create table signups (
  event_id     text primary key not null,
  email        text not null,
  name         text,
  signed_up_at integer not null -- Unix milliseconds
) strict;

-- Your tables. hookonce applies each file in this folder once, in the order of the names, each in one transaction.
-- Do not change a file after it was applied; add 0002_….sql instead. hookonce's own tables are in the schema hookonce.
-- This one is a sample: delete it, and the handlers beside it, if you do not want its tables in your database.

-- Money is a whole number of cents.
create table credits (
  customer text primary key,
  cents    bigint not null
);

-- Append-only: one row per event, with the id of the event.
create table signups (
  event_id     text primary key,
  email        text not null,
  name         text,
  signed_up_at bigint not null -- Unix milliseconds
);

-- Runs for each event of the source `default` whose type has no file, such as
--   {"event_id":"evt_1","type":"credit.added","customer":"ada","cents":500}
--
-- It runs in the transaction that stores the event's id. Either both are committed, or neither is.
-- It can use :event_id :type :source :received_at (Unix milliseconds) :payload (jsonb) :headers (jsonb).

insert into credits (customer, cents)
select :payload ->> 'customer', (:payload ->> 'cents')::bigint
-- An event without a customer or without cents adds nothing. hookonce then warns that no row changed.
where :payload ->> 'customer' is not null
  and :payload ->> 'cents' is not null
on conflict (customer) do update set cents = credits.cents + excluded.cents;

CREATE TABLE `hookonce_attempts` (
	`message` integer NOT NULL,
	`number` integer NOT NULL,
	`at` integer NOT NULL,
	`ms` integer NOT NULL,
	`status` integer,
	`error` text,
	`answer` text NOT NULL,
	PRIMARY KEY(`message`, `number`)
);
--> statement-breakpoint
CREATE TABLE `hookonce_destinations` (
	`name` text PRIMARY KEY NOT NULL,
	`state` text NOT NULL,
	`reason` text,
	`since` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `hookonce_enqueued` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`destination` text NOT NULL,
	`body` blob NOT NULL,
	`message_id` text,
	`headers` text
);
--> statement-breakpoint
CREATE TABLE `hookonce_messages` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`message_id` text NOT NULL,
	`destination` text NOT NULL,
	`event` integer,
	`source` text DEFAULT '' NOT NULL,
	`event_id` text DEFAULT '' NOT NULL,
	`type` text DEFAULT '' NOT NULL,
	`state` text NOT NULL,
	`created_at` integer NOT NULL,
	`next_at` integer NOT NULL,
	`attempts` integer DEFAULT 0 NOT NULL,
	`tries` integer DEFAULT 0 NOT NULL,
	`since` integer NOT NULL,
	`settled_at` integer,
	`last_status` integer,
	`last_error` text,
	`headers` text,
	`body` blob,
	`run` text,
	`reason` text
);
--> statement-breakpoint
CREATE UNIQUE INDEX `hookonce_messages_message_id` ON `hookonce_messages` (`destination`,`message_id`);--> statement-breakpoint
CREATE INDEX `hookonce_messages_due` ON `hookonce_messages` (`destination`,`next_at`,`id`,`created_at`) WHERE "hookonce_messages"."state" in ('waiting', 'interrupted');--> statement-breakpoint
CREATE INDEX `hookonce_messages_state` ON `hookonce_messages` (`state`,`destination`,`id`) WHERE "hookonce_messages"."state" in ('sending', 'dead', 'discarded');--> statement-breakpoint
CREATE INDEX `hookonce_messages_event` ON `hookonce_messages` (`event`) WHERE "hookonce_messages"."event" is not null;--> statement-breakpoint
CREATE VIEW `hookonce_outbox` AS SELECT `destination`, `body`, `message_id` AS `id`, `headers` FROM `hookonce_enqueued`;--> statement-breakpoint
CREATE TRIGGER `hookonce_outbox_insert` INSTEAD OF INSERT ON `hookonce_outbox` BEGIN
  INSERT INTO `hookonce_enqueued` (`destination`, `body`, `message_id`, `headers`) VALUES (new.destination, new.body, new.id, new.headers);
END;

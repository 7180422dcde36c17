CREATE TABLE `hookonce_failing_sources` (
	`name` text PRIMARY KEY NOT NULL,
	`failures` integer NOT NULL
);
--> statement-breakpoint
ALTER TABLE `hookonce_failures` ADD `event` integer;--> statement-breakpoint
ALTER TABLE `hookonce_failures` ADD `place` integer GENERATED ALWAYS AS (coalesce(event - 1, position)) VIRTUAL;--> statement-breakpoint
CREATE INDEX `hookonce_failures_place` ON `hookonce_failures` (`source`,`place`,`id`) WHERE "hookonce_failures"."settled_at" is null;--> statement-breakpoint
ALTER TABLE `hookonce_source_states` ADD `ran_place` integer DEFAULT -1 NOT NULL;--> statement-breakpoint
ALTER TABLE `hookonce_source_states` ADD `ran_failure` integer DEFAULT 0 NOT NULL;
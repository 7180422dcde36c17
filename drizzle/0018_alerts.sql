CREATE TABLE `hookonce_alerts` (
	`key` text PRIMARY KEY NOT NULL,
	`since` integer NOT NULL,
	`seen_at` integer NOT NULL,
	`began_at` integer,
	`gone_at` integer
);

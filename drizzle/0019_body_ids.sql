-- No body is there any more, and its id may be that of another body later.
UPDATE `hookonce_results` SET `body` = 0
WHERE `body` <> `event` AND `body` <> 0
  AND NOT EXISTS (SELECT 1 FROM `hookonce_bodies` WHERE `id` = `hookonce_results`.`body`);
--> statement-breakpoint
-- The body with this id is another event's own part of a batch.
UPDATE `hookonce_results` SET `body` = 0
WHERE `event` IN (
  SELECT `body` FROM `hookonce_results` INDEXED BY `hookonce_results_body` WHERE `body` <> `event` AND `element` = 1
) AND `body` = `event`;
--> statement-breakpoint
-- So is that of a forgotten event that had such a part.
UPDATE `hookonce_results` SET `body` = 0
WHERE `body` <> `event` AND `body` <> 0 AND `element` = 1 AND `reason` GLOB 'forgotten: *'
  AND EXISTS (
    SELECT 1 FROM `hookonce_results` AS `other` INDEXED BY `hookonce_results_body`
    WHERE `other`.`body` <> `other`.`event` AND `other`.`body` = `hookonce_results`.`body`
      AND `other`.`event` <> `hookonce_results`.`event`
  );

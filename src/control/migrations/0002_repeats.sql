-- Whether a service refuses signed requests that have come before.
ALTER TABLE service ADD COLUMN refuse_repeats INTEGER NOT NULL DEFAULT 0;

-- A row holds the records of one pair of parties that were stored together, a JSON object on each line, and its id is
-- the number of the first of them. The rows from before hold one each.
ALTER TABLE operational_record ADD COLUMN records INTEGER NOT NULL DEFAULT 1;

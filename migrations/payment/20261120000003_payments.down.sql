DROP TABLE payments, attempts;

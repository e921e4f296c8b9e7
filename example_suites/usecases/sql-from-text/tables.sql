CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, country TEXT, since INTEGER);
CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT, kind TEXT, price REAL);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, ordered_on TEXT, state TEXT);
CREATE TABLE items (order_id INTEGER, product_id INTEGER, quantity INTEGER);

INSERT INTO customers VALUES
  (1, 'Astrid Berg', 'SE', 2019), (2, 'Bram de Wit', 'NL', 2021), (3, 'Chiara Rossi', 'IT', 2023),
  (4, 'Deniz Kaya', 'DE', 2020), (5, 'Eero Laine', 'FI', 2024), (6, 'Freja Holm', 'SE', 2022),
  (7, 'Gustav Ek', 'SE', 2024);
INSERT INTO products VALUES
  (1, 'Tern', 'bike', 1249.0), (2, 'Heron', 'bike', 1890.0), (3, 'Saddle', 'part', 79.5),
  (4, 'Pedals', 'part', 45.0), (5, 'Rain cape', 'wear', 64.0), (6, 'Helmet', 'wear', 89.0), (7, 'Bell', 'part', 12.0);
INSERT INTO orders VALUES
  (101, 1, '2025-11-03', 'sent'), (102, 2, '2025-12-18', 'returned'), (103, 1, '2026-01-09', 'sent'),
  (104, 3, '2026-01-22', 'sent'), (105, 4, '2026-02-05', 'open'), (106, 6, '2026-02-14', 'sent'),
  (107, 2, '2026-02-27', 'sent'), (108, 5, '2026-03-02', 'open'), (109, 6, '2026-03-15', 'returned');
INSERT INTO items VALUES
  (101, 1, 1), (101, 6, 1), (102, 6, 2), (103, 3, 1), (103, 4, 1), (104, 2, 1), (104, 5, 1), (105, 1, 2),
  (105, 6, 2), (106, 5, 3), (107, 6, 1), (108, 2, 1), (108, 4, 2), (109, 3, 1);

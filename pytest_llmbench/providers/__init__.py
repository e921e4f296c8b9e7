"""Who sells answers: providers, their keys, catalogues, prices and what their models take."""

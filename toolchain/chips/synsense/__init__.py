"""What Speck and Xylo share of their vendor: fields of chip files, and the vendor's library."""

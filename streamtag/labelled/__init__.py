"""Files and what is said of them: tables and folders of labels, as learning and training read them."""

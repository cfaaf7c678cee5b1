"""The trainings we bring: models, data, devices."""

module stepseal.example/ask

go 1.24

module stepseal.example/opens

go 1.24

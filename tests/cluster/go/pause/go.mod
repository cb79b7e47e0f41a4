module stepseal.example/pause

go 1.24

// The worker example is a worker that can count primes. It has the options of "fray worker".
//
//	go run ./examples/worker --controller http://127.0.0.1:7070
//	go run ./examples/worker --help
package main

import (
	"github.com/frayrpc/fray/examples/tasks"
	"github.com/frayrpc/fray/fray/worker/workermain"
)

func main() { workermain.Main(tasks.Primes) }

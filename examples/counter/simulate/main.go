// The simulate example runs scenarios of the counter, with the verbs of fray-sim.
//
//	go run ./examples/counter/simulate list
//	go run ./examples/counter/simulate --scenario power-loss --seeds 1..200
//	go run ./examples/counter/simulate chaos --scenario power-loss --seeds 1..200
package main

import (
	"github.com/frayrpc/fray/examples/counter"
	"github.com/frayrpc/fray/sim/simtest"
)

func main() { simtest.Main(counter.Subject(), counter.Scenarios()) }

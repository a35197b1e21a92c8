// The simulate command runs scenarios of the counter, which knows nothing of them.
//
//	go build -overlay="$(fray-sim overlay)" -tags=frayoverlay ./counter/simulate
//	./simulate --scenario power-loss --seeds 1..200
package main

import (
	"github.com/frayrpc/fray/examples/abroad/counter"
	"github.com/frayrpc/fray/sim/simtest"
)

func main() { simtest.Main(counter.Subject(), counter.Scenarios()) }

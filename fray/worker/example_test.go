package worker_test

import (
	"context"
	"fmt"

	"github.com/frayrpc/fray/fray"
	fraycontroller "github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/worker"
)

// greet is a package-level variable: workers execute it, and clients run it.
var greet = fray.Define("greet", func(_ context.Context, name string) (string, error) {
	return "hello " + name, nil
})

// A controller, a worker with one function, and a client that runs it as a task. They are mostly
// programs of their own; here they share one.
func Example() {
	records := store.NewMemory()
	defer records.Close()
	c, err := fraycontroller.New(fraycontroller.Config{Store: records, ListenAddress: "127.0.0.1:0"})
	if err != nil {
		panic(err)
	}
	serving, stopController := context.WithCancel(context.Background())
	defer stopController()
	if err := c.Listen(serving); err != nil {
		panic(err)
	}
	served := make(chan error, 1)
	go func() { served <- c.Run(serving) }()

	w, err := worker.New(worker.Config{ControllerURL: c.URL(), ID: "worker-1", Functions: []fray.Function{greet}})
	if err != nil {
		panic(err)
	}
	working, stopWorker := context.WithCancel(context.Background())
	defer stopWorker()
	worked := make(chan error, 1)
	go func() { worked <- w.Run(working) }()

	jc, err := fray.NewJobContext(context.Background(), fray.KindFray, fray.WithControllerAddress(c.URL()))
	if err != nil {
		panic(err)
	}
	text, err := greet.Call(fray.NewContext(context.Background(), jc), "world")
	fmt.Println(text, err)
	fmt.Println("client:", jc.Close())

	stopWorker() // It takes no new tasks, finishes what it runs, and takes its leave of the controller.
	fmt.Println("worker:", <-worked)
	stopController()
	fmt.Println("controller:", <-served)
	// Output:
	// hello world <nil>
	// client: <nil>
	// worker: <nil>
	// controller: <nil>
}

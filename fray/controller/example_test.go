package controller_test

import (
	"context"
	"fmt"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// A controller in a program of one's own, and a client that submits a task to it. There is no
// worker, so the task waits.
func Example() {
	records := store.NewMemory() // Or pebblestore.Open, for records that outlive the process.
	defer records.Close()
	c, err := controller.New(controller.Config{Store: records, ListenAddress: "127.0.0.1:0"})
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	if err := c.Listen(ctx); err != nil { // Run would listen, too; but then URL is known now.
		panic(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	<-c.Ready()

	client, err := fray.NewClient(c.URL())
	if err != nil {
		panic(err)
	}
	task := &frayv1.TaskSpec{TaskId: "hello", Function: "greet", Payload: &frayv1.Payload{Encoding: "json", Data: []byte(`"world"`)}}
	for range 2 { // The second call is a repetition: an id names one task.
		res, err := client.SubmitTask(ctx, &frayv1.SubmitTaskRequest{JobId: "tour", Task: task})
		if err != nil {
			panic(err)
		}
		fmt.Println(res.GetTask().GetTaskId(), res.GetTask().GetStatus(), res.GetCreated())
	}
	fmt.Println(client.Close())
	stop()
	fmt.Println(<-ended)
	// Output:
	// hello TASK_STATUS_PENDING true
	// hello TASK_STATUS_PENDING false
	// <nil>
	// <nil>
}

package check_test

import (
	"context"
	"fmt"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/worker"
	"github.com/frayrpc/fray/sim/check"
)

// sum is what the worker executes, and the client runs.
var sum = fray.Define("sum", func(_ context.Context, numbers []int) (total int, err error) {
	for _, n := range numbers {
		total += n
	}
	return total, nil
})

// A controller, a worker and a client on loopback. Recorders write down what the worker and the
// client see, and oracles judge it.
func Example() {
	oracles := check.New(check.Config{})
	history := check.NewHistory(check.HistoryConfig{Observe: oracles.Observe})
	records := store.NewMemory()
	defer records.Close()
	c, err := controller.New(controller.Config{Store: records, ListenAddress: "127.0.0.1:0"})
	if err != nil {
		panic(err)
	}
	if err := c.Listen(context.Background()); err != nil {
		panic(err)
	}
	ofWorker, ofClient := check.NewRecorder(history, "worker-1"), check.NewRecorder(history, "client-1")
	w, err := worker.New(worker.Config{
		ControllerURL: c.URL(), ID: "worker-1",
		Functions:     ofWorker.Functions(sum),
		ClientOptions: []connect.ClientOption{connect.WithInterceptors(ofWorker.ClientInterceptor())},
	})
	if err != nil {
		panic(err)
	}
	stopController, stopWorker := startProcess(c.Run), startProcess(w.Run)

	recorded := fray.WithClientOptions(connect.WithInterceptors(ofClient.ClientInterceptor()))
	jc, err := fray.NewJobContext(context.Background(), fray.KindFray, fray.WithControllerAddress(c.URL()), recorded)
	if err != nil {
		panic(err)
	}
	fmt.Println(sum.Call(fray.NewContext(context.Background(), jc), []int{20, 22}))
	fmt.Println(jc.Close(), stopWorker())

	history.Quiesce() // From here on clients only ask how things stand.
	client, err := fray.NewClient(c.URL(), recorded)
	if err != nil {
		panic(err)
	}
	if err := check.Audit(context.Background(), client, oracles.Unsettled()); err != nil {
		panic(err)
	}
	fmt.Println(client.Close(), stopController())
	fmt.Println("violations:", len(oracles.Finish(history.Now())))
	for _, count := range oracles.Counts() {
		if count.Oracle == "one-effect" {
			fmt.Println(count.Claim, "Checked:", count.Checks > 0)
		}
	}
	// Output:
	// 42 <nil>
	// <nil> <nil>
	// <nil> <nil>
	// violations: 0
	// A task commits at most one effect: that of an execution that returned the value that clients are shown. Checked: true
}

// startProcess starts a process, and returns what stops it and waits for its end.
func startProcess(run func(context.Context) error) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	return func() error {
		cancel()
		return <-ended
	}
}

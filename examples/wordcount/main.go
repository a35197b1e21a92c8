// The wordcount example counts the words of Go's own sources, or of those below another directory:
// see package words. By default it does so on a controller and a worker in this process.
//
//	go run ./examples/wordcount
//	go run ./examples/wordcount -backend threadpool -dir . -check
//
// With -address it runs on the workers of a cluster, on any machine:
//
//	go run ./examples/controller
//	go run ./examples/wordcount/worker --controller http://127.0.0.1:7070
//	go run ./examples/wordcount -address http://127.0.0.1:7070
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/frayrpc/fray/examples/wordcount/words"
	"github.com/frayrpc/fray/fray"
)

// options are those of the command.
type options struct {
	kind         fray.Kind
	address, dir string
	check        bool
}

func main() { os.Exit(runProcess()) }

func runProcess() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "wordcount:", err)
		return 1
	}
	return 0
}

// run is the command.
func run(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parse(ctx, args)
	if err != nil {
		return err
	}
	var opts []fray.Option
	if o.kind == fray.KindFray {
		if o.address == "" {
			c, err := startCluster(ctx)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, c.stop()) }()
			o.address = c.url
		}
		opts = append(opts, fray.WithControllerAddress(o.address))
	}
	jc, err := fray.NewJobContext(ctx, o.kind, opts...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, jc.Close()) }()
	return count(fray.NewContext(ctx, jc), o, out)
}

// parse reads the arguments.
func parse(ctx context.Context, args []string) (options, error) {
	flags := flag.NewFlagSet("wordcount", flag.ContinueOnError)
	backend := flags.String("backend", string(fray.KindFray), "what runs the tasks: sync, threadpool or fray")
	o := options{}
	flags.StringVar(&o.address, "address", "", "the `URL` of a controller; empty: one in this process")
	flags.StringVar(&o.dir, "dir", "", "the `directory` of the sources; empty: Go's own")
	flags.BoolVar(&o.check, "check", false, "count once more without tasks, and compare")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q: the directory is given with -dir", flags.Arg(0))
	}
	switch o.kind = fray.Kind(*backend); {
	case o.kind != fray.KindSync && o.kind != fray.KindThreadPool && o.kind != fray.KindFray:
		return o, fmt.Errorf("-backend %q must be sync, threadpool or fray", *backend)
	case o.address != "" && o.kind != fray.KindFray:
		return o, fmt.Errorf("-address %s: on the backend %s tasks run in this process: leave it out", o.address, o.kind)
	}
	if o.dir == "" {
		root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
		if err != nil {
			return o, fmt.Errorf("find Go's sources: go env GOROOT: %w: name a directory with -dir", err)
		}
		o.dir = filepath.Join(strings.TrimSpace(string(root)), "src")
	}
	return o, nil
}

// count counts on the job context of ctx, and prints what it has counted.
func count(ctx context.Context, o options, out io.Writer) error {
	tree := words.Tree{Dir: os.DirFS(o.dir)}
	sum, err := words.Submit(ctx, tree.Texts(ctx))
	if err != nil {
		return err
	}
	// All is submitted. What is to be known of the sum is up to some more tasks, and an actor.
	summary, err := words.Summarize(ctx, sum.Total)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d words in %s, %d of them different\n", summary.Words, o.dir, summary.Distinct)
	for _, word := range summary.Top {
		fmt.Fprintf(out, "%9d %s\n", word.Count, word.Text)
	}
	fmt.Fprintf(out, "%d texts were counted by as many tasks on %s, and added up by %d\n", sum.Counts, o.kind, sum.Merges)
	if !o.check {
		return nil
	}
	counts, err := words.CountAll(tree)
	if err != nil {
		return err
	}
	if want := counts.Summary(); !summary.Equal(want) {
		return fmt.Errorf("without tasks it is %+v", want)
	}
	fmt.Fprintln(out, "without tasks it is the same")
	return nil
}

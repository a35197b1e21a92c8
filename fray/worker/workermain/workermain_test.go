package workermain_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/fray/certs"
	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/worker/workermain"
)

// The functions of the program that the scripts run.
var (
	greet = fray.Define("greet", func(ctx context.Context, name string) (string, error) {
		info, _ := fray.InTask(ctx)
		return "hello " + name + " from " + info.WorkerID, nil
	})
	token = fray.Define("token", func(context.Context, string) (string, error) {
		return "token: " + os.Getenv("FRAY_TOKEN"), nil
	})
	// stay makes a file, and stays until there is another, or it is stopped.
	stay = fray.Define("stay", func(ctx context.Context, file string) (string, error) {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			return "", err
		}
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for {
			if _, err := os.Stat(file + ".go"); err == nil {
				return "done", nil
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}
	})
	tasks = map[string]*fray.Task[string, string]{"greet": greet, "token": token, "stay": stay}
)

// leakChecked runs the tests and then looks for goroutines that they left behind.
type leakChecked struct{ *testing.M }

func (m leakChecked) Run() int {
	code := m.M.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){
		"greeter": func() { workermain.Main(stay, greet, token) },
		"idler":   func() { workermain.Main() },
		"twin":    func() { workermain.Main(greet, greet) },
	})
}

// patience bounds every wait of a script for something to come true.
const patience = 30 * time.Second

// Each script runs the program as processes, with controllers and clients in this one.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Values["client"] = &client{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"controller": cmdController,
			"call":       cmdCall,
			"submit":     cmdSubmit,
			"result":     cmdResult,
			"exits":      cmdExits,
			"waitfor":    cmdWaitFor,
			"fetch":      cmdFetch,
		},
	})
}

// cmdController runs a controller until the script ends, with a token and over TLS by certificates if
// these are named, and sets FRAY_CONTROLLER_ADDRESS: controller [token [certificates]]. The
// certificates are written to ca.pem, tls.crt and tls.key.
func cmdController(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 2 {
		ts.Fatalf("usage: controller [token [tls]]")
	}
	config := controller.Config{Store: store.NewMemory(), ListenAddress: "127.0.0.1:0"}
	options := []fray.Option{fray.WithLogger(nil), fray.WithToken("")}
	if len(args) > 0 {
		policy := access.Shared(args[0])
		config.Access = func() *access.Policy { return policy }
		options = append(options, fray.WithToken(args[0]))
	}
	if len(args) > 1 {
		authority, err := certs.NewAuthority("test", time.Hour)
		ts.Check(err)
		cert, key, err := authority.Issue("controller", "127.0.0.1")
		ts.Check(err)
		for name, data := range map[string][]byte{"ca.pem": authority.PEM, "tls.crt": cert, "tls.key": key} {
			ts.Check(os.WriteFile(ts.MkAbs(name), data, 0o600))
		}
		config.TLS = certs.Files{Cert: ts.MkAbs("tls.crt"), Key: ts.MkAbs("tls.key")}
		options = append(options, fray.WithTLS(certs.Files{CA: ts.MkAbs("ca.pem")}))
	}
	c, err := controller.New(config)
	ts.Check(err)
	ts.Check(c.Listen(context.Background()))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	ts.Defer(func() {
		stop()
		ts.Check(<-ended)
		ts.Check(config.Store.Close())
	})
	jc, err := fray.NewJobContext(context.Background(), fray.KindFray, append(options, fray.WithControllerAddress(c.URL()))...)
	ts.Check(err)
	ts.Defer(func() { ts.Check(jc.Close()) })
	ts.Setenv("FRAY_CONTROLLER_ADDRESS", c.URL())
	client := ts.Value("client").(*client)
	client.jc, client.futures = jc, map[string]*fray.Future[string]{}
}

// client is what a script runs tasks by.
type client struct {
	jc      *fray.JobContext
	futures map[string]*fray.Future[string] // by what the script calls them
}

func clientOf(ts *testscript.TestScript) *client {
	c, ok := ts.Value("client").(*client)
	if !ok || c.jc == nil {
		ts.Fatalf("the script has no controller")
	}
	return c
}

// cmdSubmit runs a task under a name: submit name function input.
func cmdSubmit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 || tasks[args[1]] == nil {
		ts.Fatalf("usage: submit name function input")
	}
	c := clientOf(ts)
	ctx, cancel := context.WithTimeout(fray.NewContext(context.Background(), c.jc), patience)
	defer cancel()
	f, err := tasks[args[1]].Run(ctx, args[2], fray.WithMaxWorkerLosses(0))
	ts.Check(err)
	c.futures[args[0]] = f
}

// cmdResult waits for the end of a task, and expects a value or, with !, an error: result name pattern.
func cmdResult(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: result name pattern")
	}
	c := clientOf(ts)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	got, err := c.futures[args[0]].Get(ctx)
	if neg != (err != nil) {
		ts.Fatalf("%s ended with %q, %v", args[0], got, err)
	}
	if neg {
		got = err.Error()
	}
	if !regexp.MustCompile(args[1]).MatchString(got) {
		ts.Fatalf("%s ended with %q, which does not match %s", args[0], got, args[1])
	}
}

// cmdCall runs a task and expects a value: call function input pattern.
func cmdCall(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: call function input pattern")
	}
	cmdSubmit(ts, false, []string{"called", args[0], args[1]})
	cmdResult(ts, false, []string{"called", args[2]})
}

// cmdExits runs a program that must exit with a code: exits 2 greeter --nope.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code command [arg]...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exited with %d, want %s", code, args[0])
	}
}

// await calls check until it returns nil.
func await(ts *testscript.TestScript, check func() error) {
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("after %v: %v", patience, err)
		}
	}
}

// cmdWaitFor waits until a file has a text: waitfor file text.
func cmdWaitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitfor file text")
	}
	await(ts, func() error {
		data, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && !strings.Contains(string(data), args[1]) {
			err = fmt.Errorf("%s has no %q:\n%s", args[0], args[1], data)
		}
		return err
	})
}

// cmdFetch asks what a worker serves, where its log says that it listens, and expects a text in the
// answer: fetch log /metrics text.
func cmdFetch(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: fetch log path text")
	}
	url := regexp.MustCompile(`url=(http://[^ \n]+)`).FindStringSubmatch(ts.ReadFile(args[0]))
	if url == nil {
		ts.Fatalf("%s does not say where the worker listens", args[0])
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	res, err := client.Get(url[1] + args[1])
	ts.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	if res.StatusCode != http.StatusOK || !strings.Contains(string(body), args[2]) {
		ts.Fatalf("%s is answered by %s and has no %q:\n%s", url[1]+args[1], res.Status, args[2], body)
	}
}

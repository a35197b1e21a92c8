//go:build unix

package controller_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store/pebblestore"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// descriptorsEnv has the test's own program run a controller on the directory that it names, with
// few file descriptors.
const (
	descriptorsEnv   = "FRAY_TEST_DESCRIPTORS"
	descriptorsLimit = 96
)

func init() {
	dir := os.Getenv(descriptorsEnv)
	if dir == "" {
		return
	}
	if err := runWithFewDescriptors(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func runWithFewDescriptors(dir string) error {
	limit := syscall.Rlimit{Cur: descriptorsLimit, Max: descriptorsLimit}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	// Tables of the least size, so that files are opened all the time.
	s, err := pebblestore.Open(pebblestore.Config{Dir: dir, MemTableBytes: 256 << 10, Logger: logger})
	if err != nil {
		return err
	}
	c, err := controller.New(controller.Config{Store: s, ListenAddress: "127.0.0.1:0", Logger: logger})
	if err != nil {
		return err
	}
	if err := c.Listen(context.Background()); err != nil {
		return err
	}
	fmt.Println(c.URL())
	ctx, cancel := context.WithCancel(context.Background())
	go func() { // Until the test closes its end.
		_, _ = bufio.NewReader(os.Stdin).ReadByte()
		cancel()
	}()
	if err := c.Run(ctx); err != nil {
		return err
	}
	return s.Close()
}

// A controller that had as many connections as it could open files ended itself when its store
// needed one.
func TestConnectionsLeaveTheStoreItsDescriptors(t *testing.T) {
	t.Parallel()
	child := exec.Command(os.Args[0]) // The test itself.
	child.Env = append(os.Environ(), descriptorsEnv+"="+t.TempDir())
	var log strings.Builder
	child.Stderr = &log
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err, log.String())
	}
	address := strings.TrimSpace(line)
	target, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	client := frayv1connect.NewControllerServiceClient(&http.Client{Transport: transport}, address)
	submit := func(n int) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		task := spec(fmt.Sprint(n))
		task.Payload = &frayv1.Payload{Encoding: "raw", Data: make([]byte, 64<<10)}
		for {
			_, err := client.SubmitTask(ctx, &frayv1.SubmitTaskRequest{JobId: "j", Task: task})
			if err == nil {
				return
			}
			if ctx.Err() != nil {
				t.Fatal(err, log.String())
			}
		}
	}
	submit(0)
	var conns []net.Conn
	for range 2 * descriptorsLimit {
		var dialer net.Dialer
		conn, err := dialer.DialContext(t.Context(), "tcp", target.Host)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	for n := range 100 { // Enough for logs and tables to be begun.
		submit(n + 1)
	}
	for _, c := range conns {
		_ = c.Close()
	}
	transport.CloseIdleConnections()
	submit(1000)
	transport.CloseIdleConnections()
	_ = in.Close()
	if err := child.Wait(); err != nil {
		t.Errorf("the controller ended with %v:\n%s", err, log.String())
	}
}

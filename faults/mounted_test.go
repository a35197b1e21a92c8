package faults_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c" //nolint:staticcheck // It is what services have.
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/frayrpc/fray/faults"
	faultsv1 "github.com/frayrpc/fray/gen/faults/v1"
	"github.com/frayrpc/fray/gen/faults/v1/faultsv1connect"
)

// A rule that no adapter can apply is refused where the plan meets the adapters, with what is
// missing.
func TestRuleWithoutItsAdapter(t *testing.T) {
	t.Parallel()
	named := faults.Config{PeerName: func(string) string { return "worker-1" }}
	for name, test := range map[string]struct {
		config faults.Config
		mount  func(*faults.Injector)
		rule   string
		want   string // "": it is fine
	}{
		"nothing is mounted yet":    {rule: "a: drop", mount: func(*faults.Injector) {}},
		"network at an interceptor": {rule: "a: drop", want: "no adapter for side network", mount: func(i *faults.Injector) { i.Interceptor("me") }},
		"client at a transport":     {rule: "a: drop side=client", want: "no adapter for side client", mount: func(i *faults.Injector) { i.RoundTripper(nil, "me") }},
		"server at a handler":       {rule: "a: drop side=server", want: "no adapter for side server", mount: func(i *faults.Injector) { i.Handler(nil, "me") }},
		"client at a server's": {
			rule: "a: drop side=client", want: "no interceptor on side client",
			config: faults.Config{Sides: []faults.Side{faults.Server}}, mount: func(i *faults.Injector) { i.Interceptor("me") },
		},
		"name at a server":         {rule: "a: drop from=worker-*", want: "knows its callers by their IP addresses", mount: func(i *faults.Injector) { i.Handler(nil, "me") }},
		"name on side server":      {rule: "a: drop side=server from=worker-1", want: "knows its callers by", mount: func(i *faults.Injector) { i.Interceptor("me") }},
		"name that is known":       {config: named, rule: "a: drop from=worker-*", mount: func(i *faults.Injector) { i.Handler(nil, "me") }},
		"address at a server":      {rule: "a: drop from=10.0.*", mount: func(i *faults.Injector) { i.Handler(nil, "me") }},
		"one of them an address":   {rule: "a: drop from=worker-1|127.0.0.1", mount: func(i *faults.Injector) { i.Handler(nil, "me") }},
		"name at a caller":         {rule: "a: drop from=worker-1", mount: func(i *faults.Injector) { i.RoundTripper(nil, "worker-1") }},
		"partition between names":  {rule: "a: partition from=worker-1 to=me", want: "knows its callers", mount: func(i *faults.Injector) { i.Handler(nil, "me") }},
		"partition from anything":  {rule: "a: partition to=me", mount: func(i *faults.Injector) { i.Handler(nil, "me") }},
		"partition from addresses": {rule: "a: partition from=me to=10.*", mount: func(i *faults.Injector) { i.Handler(nil, "me") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			injector := faults.New(test.config)
			defer injector.Close()
			test.mount(injector)
			plan, err := faults.ParsePlan(test.rule)
			if err != nil {
				t.Fatal(err)
			}
			for _, err := range []error{injector.Apply(plan), injector.ApplyFor(plan, time.Minute)} {
				if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
					t.Errorf("got %v, want %q", err, test.want)
				}
			}
		})
	}
}

// A plan that was there before the adapters tells of what none of them applies.
func TestStatusTellsOfIdleRules(t *testing.T) {
	t.Parallel()
	injector := newInjector(t, faults.Config{}, "a: drop\nb: error(aborted) side=client")
	injector.RoundTripper(nil, "me")
	rules := injector.Status().Rules
	if rules[0].Idle != "" || !strings.Contains(rules[1].Idle, "no adapter for side client") {
		t.Errorf("got %+v", rules)
	}
}

// Over the wire a plan may be for several processes: each says what it cannot do. What it does not
// understand it refuses.
func TestServiceTellsOfIdleRules(t *testing.T) {
	t.Parallel()
	injector := faults.New(faults.Config{})
	t.Cleanup(injector.Close)
	mux := http.NewServeMux()
	mux.Handle(faults.NewService(injector))
	server := httptest.NewServer(injector.Handler(mux, "server"))
	t.Cleanup(server.Close)
	client := faultsv1connect.NewFaultServiceClient(server.Client(), server.URL)
	res, err := client.ApplyPlan(t.Context(), &faultsv1.ApplyPlanRequest{Rules: []string{"a: drop", "b: drop side=client"}})
	if err != nil || len(res.GetIdle()) != 2 || res.GetIdle()[0] != "" || !strings.Contains(res.GetIdle()[1], "no adapter for side client") {
		t.Errorf("got %v, %v", res, err)
	}
	got, err := client.GetPlan(t.Context(), &faultsv1.GetPlanRequest{})
	if err != nil || !strings.Contains(got.GetRules()[1].GetIdle(), "no adapter for side client") {
		t.Errorf("got %v, %v", got, err)
	}
	for _, kind := range []string{"application/json", "application/json; charset=utf-8"} {
		response, err := server.Client().Post(server.URL+faultsv1connect.FaultServiceApplyPlanProcedure, kind, strings.NewReader(`{"rulez": ["a: drop"]}`))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "rulez") {
			t.Errorf("%s: %d, %s", kind, response.StatusCode, body)
		}
	}
	if rules := injector.Status().Rules; len(rules) != 2 {
		t.Errorf("a plan that was refused is in force: %v", rules)
	}
}

// HTTP/2 without TLS meets the faults of a handler inside of what serves it, and outside of that it
// does not, which shows.
func TestHandlerAndH2C(t *testing.T) {
	t.Parallel()
	for name, inside := range map[string]bool{"inside": true, "outside": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			injector := newInjector(t, faults.Config{}, "a: error(aborted)")
			service := new(echo)
			handler := service.handler()
			if inside {
				handler = h2c.NewHandler(injector.Handler(handler, "server"), new(http2.Server)) //nolint:staticcheck // As above.
			} else {
				handler = injector.Handler(h2c.NewHandler(handler, new(http2.Server)), "server") //nolint:staticcheck // As above.
			}
			server := httptest.NewServer(handler)
			t.Cleanup(server.Close)
			protocols := new(http.Protocols)
			protocols.SetUnencryptedHTTP2(true)
			transport := &http.Transport{Protocols: protocols}
			t.Cleanup(transport.CloseIdleConnections)
			ask := func() error {
				client := connect.NewClient[text, text](&http.Client{Transport: transport}, server.URL+unaryProcedure)
				_, err := client.CallUnary(t.Context(), connect.NewRequest(wrapperspb.String("x")))
				return err
			}
			err := ask()
			idle := injector.Status().Rules[0].Idle
			if inside && (connect.CodeOf(err) != connect.CodeAborted || idle != "") {
				t.Errorf("got %v, and the rule is said to be idle: %q", err, idle)
			}
			if !inside && (err != nil || !strings.Contains(idle, "h2c.NewHandler")) {
				t.Errorf("got %v, and the rule is said to be idle: %q", err, idle)
			}
			if plan := (faults.Plan{Rules: []faults.Rule{injector.Status().Rules[0].Rule}}); (injector.Apply(plan) == nil) != inside {
				t.Error("a plan is refused where it acts, or accepted where it does not")
			}
		})
	}
}

// A streamed answer that is cut or replaced is at its end for its caller at once, whatever its
// handler does.
func TestStreamEndsWhereItIsCut(t *testing.T) {
	t.Parallel()
	for _, rule := range []string{
		"truncate(40B) phase=response-in-flight", "reset(40B) phase=response-in-flight", "error(aborted) phase=response-in-flight",
		"reset phase=response-in-flight",
	} {
		for _, h2 := range []bool{false, true} {
			t.Run(rule, func(t *testing.T) {
				t.Parallel()
				injector := newInjector(t, faults.Config{}, "a: "+rule)
				over := make(chan error, 1)
				endless := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", "text/plain")
					_, _ = io.WriteString(w, strings.Repeat("x", 100))
					_ = http.NewResponseController(w).Flush()
					<-r.Context().Done()
					_, err := io.WriteString(w, "more")
					over <- err
				})
				protocols := new(http.Protocols)
				protocols.SetHTTP1(!h2)
				protocols.SetUnencryptedHTTP2(h2)
				server := httptest.NewUnstartedServer(injector.Handler(endless, "server"))
				server.Config.Protocols = protocols
				server.Start()
				t.Cleanup(server.Close)
				transport := &http.Transport{Protocols: protocols}
				t.Cleanup(transport.CloseIdleConnections)
				ctx, cancel := context.WithTimeout(t.Context(), longWait)
				defer cancel()
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+countProcedure, nil)
				if err != nil {
					t.Fatal(err)
				}
				var body []byte
				res, err := transport.RoundTrip(req)
				if err == nil {
					body, err = io.ReadAll(res.Body)
					_ = res.Body.Close()
				}
				if ctx.Err() != nil {
					t.Fatalf("the caller has run into its own deadline, with %q", body)
				}
				if strings.HasPrefix(rule, "truncate") && (err == nil || string(body) != strings.Repeat("x", 40)) {
					t.Errorf("got %q, %v", body, err)
				}
				if err := <-over; err == nil {
					t.Error("the handler goes on writing without an error")
				}
			})
		}
	}
}

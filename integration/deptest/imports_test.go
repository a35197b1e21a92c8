// Package deptest holds the architecture's import rules, and the purity of fray/core, as tests.
//
// A linter sees one file at a time; these tests see the whole import graph, so that a rule holds
// through any chain of packages. A path that starts with ./ is a package of this module and must
// exist, so that a renamed package cannot switch a rule off; those still to be written are in
// planned.
package deptest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

const module = "github.com/frayrpc/fray"

// std as a pattern is the whole standard library.
const std = "std"

// A rule limits what packages import, outside their tests. Its patterns are import paths, ./-paths
// in this module, or std; /... at the end takes in what lies below.
type rule struct {
	packages []string
	except   []string // of packages
	banned   []string
	allowed  []string // if set, everything else is banned
	direct   bool     // only what a package itself imports counts
	reason   string
}

// planned are the packages that rules name and that do not exist yet.
var planned []string

// testSupport are packages that only tests import.
var testSupport = []string{"./fray/store/storetest", "./fray/fraytest", "./internal/hostile", "./fray/internal/rayjobs/raytest", "./fray/store/lead/leadtest", "./fray/store/pgstore/pgtest"}

var rules = []rule{
	{
		packages: []string{"./fray/core/..."},
		allowed:  []string{std, "./fray/core/..."},
		reason:   "core is a pure state machine: the standard library only, however indirectly",
	},
	{
		packages: []string{"./fray/core/..."},
		direct:   true,
		banned: []string{
			"context", "sync/...", "net/...", "os/...", "syscall", "io/fs", "log/...",
			"math/rand", "crypto/rand", "runtime/...", "testing/...", "reflect", "unsafe", "C",
		},
		reason: "core takes events and the time, and returns effects: no I/O, clock, lock, log or chance of its own",
	},
	{
		packages: []string{"./fray"},
		banned:   []string{"./fray/controller/...", "./fray/worker/...", "./fray/core/..."},
		reason:   "a client talks to a controller over the wire only; worker imports fray, so that a task can submit tasks",
	},
	{
		packages: []string{"./fray/controller/..."},
		banned:   []string{"./fray", "./fray/worker/..."},
		reason:   "a controller serves clients and workers over the wire and is neither",
	},
	{
		packages: []string{"./fray/worker/..."},
		banned:   []string{"./fray/controller/..."},
		reason:   "a worker talks to a controller over the wire only",
	},
	{
		packages: []string{"./fray/access"},
		banned:   []string{"./fray", "./fray/controller/...", "./fray/worker/...", "./fray/core/...", "./fray/store/...", "./fray/internal/serve"},
		reason:   "servers are put behind it; it knows procedures and callers, and nothing of what is served",
	},
	{
		packages: []string{"./fray/store/...", "./fray/internal/..."},
		banned:   []string{"./fray", "./fray/controller/...", "./fray/worker/..."},
		reason:   "clients, controllers and workers are built upon these",
	},
	{
		packages: []string{"./fray/...", "./cmd/...", "./faults/...", "./sim/..."},
		except:   []string{"./fray/store/pebblestore", "./sim/cluster/system", "./sim/cluster/process"},
		direct:   true,
		banned:   []string{"github.com/cockroachdb/pebble/v2/..."},
		reason:   "the rest knows store.Store; sim/cluster/system has the filesystem that loses power",
	},
	{
		packages: []string{"./..."},
		except:   []string{"./fray/store/pgstore", "./fray/store/pgstore/pgtest"},
		direct:   true,
		banned:   []string{"github.com/jackc/pgx/v5/..."},
		reason:   "the rest knows lead.Database",
	},
	{
		packages: []string{"./fray/core/...", "./fray", "./fray/controller/...", "./fray/worker/...", "./faults/...", "./sim/..."},
		banned:   []string{"./fray/store/pgstore", "github.com/jackc/pgx/v5/..."},
		reason:   "the program that starts a controller picks its store; a client or a worker does not carry one",
	},
	{
		packages: []string{"./fray/core/...", "./fray", "./fray/controller/...", "./fray/worker/...", "./faults/...", "./sim"},
		banned:   []string{"./fray/store/pebblestore", "github.com/cockroachdb/pebble/v2/..."},
		reason:   "the program that starts a controller picks its store; a client or a worker does not carry one",
	},
	{
		packages: []string{"./fray/...", "./cmd/fray/..."},
		except:   testSupport,
		banned:   []string{"./sim/...", "./integration/...", "go.uber.org/goleak"},
		reason:   "the simulator and the tests run the runtime unmodified; the runtime does not know them",
	},
	{
		packages: []string{"./fray/...", "./cmd/fray/..."},
		except:   testSupport,
		direct:   true,
		banned:   append([]string{"testing/..."}, testSupport...),
		reason:   "test code stays out of what ships",
	},
	{
		packages: []string{"./fray/...", "./faults/...", "./sim", "./sim/check", "./gen/..."},
		except:   []string{"./fray/h3"},
		banned:   []string{"./fray/h3", "github.com/quic-go/..."},
		reason:   "programs that do not ask for HTTP/3 do not link QUIC, see docs/decisions/0012-http3-is-given.md",
	},
	{
		packages: []string{"./..."},
		except:   []string{"./fray/h3"},
		direct:   true,
		banned:   []string{"github.com/quic-go/..."},
		reason:   "fray/h3 is the one place that knows QUIC",
	},
	{
		packages: []string{"./fray/h3"},
		banned:   []string{"./fray", "./fray/controller/...", "./fray/worker/...", "./fray/core/...", "./fray/store/..."},
		reason:   "it is given to clients, workers and controllers, and knows none of them",
	},
	{
		packages: []string{"./fray/..."},
		except:   []string{"./fray/worker/workermain", "./fray/fraytest"},
		banned:   []string{"./faults/...", "./gen/faults/..."},
		reason:   "faults enter the runtime through ordinary seams; programs wire them in",
	},
	{
		packages: []string{"./faults/..."},
		direct:   true,
		allowed: []string{
			std, "connectrpc.com/connect/...", "google.golang.org/protobuf/...", "./faults/...", "./gen/faults/...",
			"./internal/chance", "./internal/glob", "./internal/number", "./internal/sleep", "./internal/spelling", "./internal/reread",
		},
		reason: "any Connect service can be faulted",
	},
	{
		packages: []string{"./faults/...", "./sim"},
		banned:   []string{"./fray/...", "./gen/fray/...", "./sim/check/...", "./sim/scenario/...", "./sim/engine/...", "./sim/speed/..."},
		reason:   "any Connect service can be faulted and simulated; what knows fray is built upon them",
	},
	{
		packages: []string{"./faults/...", "./sim", "./sim/bubble", "./sim/disk", "./sim/order"},
		allowed: []string{
			std, "connectrpc.com/connect/...", "google.golang.org/protobuf/...", "golang.org/x/net/...", "golang.org/x/text/...",
			"./faults/...", "./gen/faults/...", "./sim", "./sim/disk", "./sim/order", "./internal/...",
		},
		reason: "any service can import them and gets no other modules, see docs/decisions/0009-one-module.md",
	},
	{
		packages: []string{"./sim/scenario", "./sim/chaos", "./sim/cluster", "./sim/cluster/chaos"},
		banned:   []string{"./sim/engine/...", "./sim/bubble", "./fray/controller/...", "./fray/worker/..."},
		reason:   "what a scenario says does not depend on what runs it",
	},
	{
		packages: []string{
			"./sim/scenario", "./sim/engine/...", "./sim/report", "./sim/chaos", "./sim/guide", "./sim/reach", "./sim/shrink",
			"./sim/story",
		},
		banned: []string{"./fray/...", "./gen/fray/...", "./sim/check/...", "./sim/cluster/..."},
		reason: "scenarios are run of any service; Fray is a subject like others",
	},
	{
		packages: []string{"./sim/engine"},
		banned:   []string{"./sim/engine/virtual", "./sim/bubble"},
		reason:   "an engine knows no backend",
	},
	{
		packages: []string{"./fray/...", "./faults/...", "./sim/..."},
		except:   []string{"./sim/planted", "./sim/mutants", "./sim/simtest", "./fray/worker/workermain"},
		direct:   true,
		banned:   []string{"flag", "os/signal", "github.com/spf13/..."},
		reason:   "only commands read flags and handle signals; sim/simtest is one, for any subject, and workermain, for any functions",
	},
	{
		packages: []string{"./fray/...", "./faults/...", "./sim/..."},
		except:   []string{"./fray/worker/workermain"},
		banned:   []string{"./internal/command"},
		reason:   "options, signals and exit codes are of programs; a worker that is part of another program brings none along",
	},
	{
		packages: []string{"./internal/command", "./fray/worker/workermain"},
		banned:   []string{"github.com/spf13/cobra", "github.com/goccy/go-yaml/...", "./fray/controller/...", "./fray/store/...", "./cmd/..."},
		reason:   "workers of all users link it: what controllers, subcommands and configuration files need is of cmd/fray",
	},
	{
		packages: []string{"./cmd/fray/internal/..."},
		banned: []string{
			"flag", "os/signal", "github.com/spf13/...", "./fray/controller/...", "./fray/store/...", "./fray/core/...",
		},
		direct: true,
		reason: "commands read flags, handle signals and start controllers; what they are made of is tested without",
	},
	{
		packages: []string{"./fray/...", "./faults/...", "./sim"},
		except:   []string{"./fray/worker/workermain"},
		banned:   []string{"net/http/pprof", "github.com/HdrHistogram/..."},
		reason:   "programs that link the runtime get no profiles on their default mux, and nothing that only measures: cmd/fray serves and measures",
	},
	{
		packages: []string{"./..."},
		except:   []string{"./internal/browsertest"},
		banned:   []string{"github.com/chromedp/..."},
		reason:   "only tests look at pages in a browser",
	},
	{
		packages: []string{"./sim/..."},
		except:   []string{"./sim/cluster/process", "./sim/engine/live", "./sim/simtest", "./sim/planted", "./sim/mutants", "./sim/overlay"},
		direct:   true,
		banned:   []string{"os/exec", "./internal/children", "./sim/cluster/process"},
		reason:   "what runs in virtual time starts no processes; backends in real time do, a command runs seeds in processes of its own, and what plants bugs, what mutates and what tests an overlay run the go command",
	},
	{
		packages: []string{
			"./internal/chance", "./internal/endpoint", "./internal/glob", "./internal/limit", "./internal/number", "./internal/sleep",
			"./internal/spelling",
		},
		direct:  true,
		allowed: []string{std},
		reason:  "whatever reads what a user wrote may use them",
	},
	{
		packages: []string{"./fray/internal/latency"},
		direct:   true,
		allowed:  []string{std, "github.com/prometheus/client_golang/prometheus/..."},
		reason:   "whatever keeps a histogram uses it",
	},
	{
		packages: []string{"./internal/stamp"},
		direct:   true,
		allowed:  []string{std, "golang.org/x/mod/..."},
		reason:   "any command says with it what it was built from",
	},
	{
		packages: []string{"./internal/browsers", "./internal/outgoing", "./internal/yamltree"},
		direct:   true,
		allowed:  []string{std, "connectrpc.com/connect/...", "github.com/goccy/go-yaml/..."},
		reason:   "runtime, commands and simulator stand upon them",
	},
	{
		packages: []string{"./sim/order"},
		allowed:  []string{std},
		reason:   "any program may ask whether its goroutines follow a seed",
	},
	{
		packages: []string{"./internal/patch", "./sim/overlay"},
		banned:   []string{"./fray/...", "./faults/...", "./sim", "./sim/scenario/...", "./sim/engine/..."},
		reason:   "sources are edited for whatever is built of them",
	},
	{
		packages: []string{"./sim/guide"},
		banned:   []string{"./sim/engine/virtual", "./sim/reach", "./sim/bubble"},
		reason:   "what runs next is decided by what it is told of runs, wherever they take place",
	},
	{
		packages: []string{"./sim/report"},
		banned:   []string{"./sim/engine/virtual"},
		reason:   "a report is of a result, whatever engine it comes from",
	},
	{
		packages: []string{"./fray/internal/attempt"},
		allowed:  []string{std},
		reason:   "an attempt is run the same way on every backend and every worker: it knows none of them",
	},
	{
		packages: []string{"./fray/internal/rayjobs"},
		direct:   true,
		allowed:  []string{std, "./internal/outgoing", "./internal/sleep"},
		reason:   "a client of Ray's API knows nothing of Fray",
	},
	{
		packages: []string{"./gen/..."},
		banned:   []string{"./fray/...", "./faults/...", "./sim/...", "./cmd/...", "./integration/..."},
		reason:   "generated code is beneath everything",
	},
}

func TestImports(t *testing.T) {
	t.Parallel()
	g := loadGraph(t)
	for _, problem := range slices.Concat(g.unknown(rules, planned), g.violations(rules)) {
		t.Error(problem)
	}
}

// A graph is the import graph of this module's packages and all that they import, without tests.
type graph map[string]node

type node struct {
	imports  []string // sorted
	standard bool
}

// loadGraph asks the go command for the import graph.
func loadGraph(t *testing.T) graph {
	t.Helper()
	mode := packages.NeedName | packages.NeedImports | packages.NeedDeps | packages.NeedModule
	g := graph{}
	packages.Visit(load(t, &packages.Config{Mode: mode}, "./..."), nil, func(p *packages.Package) {
		n := node{standard: p.Module == nil}
		for _, imported := range p.Imports { // order-free: sorted below
			// Not the path that is written: the standard library has its own golang.org/x.
			n.imports = append(n.imports, imported.PkgPath)
		}
		slices.Sort(n.imports)
		g[p.PkgPath] = n
	})
	return g
}

// load loads packages, as seen from the root of the module.
func load(t *testing.T, config *packages.Config, patterns ...string) []*packages.Package {
	t.Helper()
	config.Context, config.Dir = t.Context(), "../.."
	loaded, err := packages.Load(config, patterns...)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range loaded {
		for _, err := range p.Errors {
			t.Fatal(err)
		}
	}
	return loaded
}

// unknown names the patterns in this module that match no package and are not planned, and the
// planned packages that exist.
func (g graph) unknown(rules []rule, planned []string) []string {
	var problems []string
	for _, pattern := range planned {
		if len(g.match([]string{pattern + "/..."})) > 0 {
			problems = append(problems, pattern+" exists: take it out of planned")
		}
	}
	for _, r := range rules {
		for _, pattern := range slices.Concat(r.packages, r.except, r.banned, r.allowed) {
			if !strings.HasPrefix(pattern, "./") || slices.Contains(planned, strings.TrimSuffix(pattern, "/...")) {
				continue
			}
			if len(g.match([]string{pattern})) == 0 {
				problems = append(problems, fmt.Sprintf("%s matches no package, so this rule no longer holds: %s", pattern, r.reason))
			}
		}
	}
	slices.Sort(problems)
	return slices.Compact(problems)
}

// violations returns one line for each import that breaks a rule, with the chain that leads to it.
func (g graph) violations(rules []rule) []string {
	var problems []string
	for _, r := range rules {
		for _, subject := range g.match(r.packages) {
			if g.matches(r.except, subject) {
				continue
			}
			for _, chain := range g.breaches(r, subject) {
				problems = append(problems, fmt.Sprintf("%s: %s", short(chain), r.reason))
			}
		}
	}
	return problems
}

// breaches returns the shortest chain from a package to each package that the rule keeps from it.
// It does not look behind those.
func (g graph) breaches(r rule, from string) [][]string {
	var found [][]string
	seen := map[string]bool{from: true}
	for queue := [][]string{{from}}; len(queue) > 0; queue = queue[1:] {
		for _, next := range g[queue[0][len(queue[0])-1]].imports {
			if seen[next] {
				continue
			}
			seen[next] = true
			chain := append(slices.Clone(queue[0]), next)
			switch {
			case g.matches(r.banned, next), r.allowed != nil && !g.matches(r.allowed, next):
				found = append(found, chain)
			case !r.direct:
				queue = append(queue, chain)
			}
		}
	}
	return found
}

// match returns the packages of this module that match a pattern, sorted.
func (g graph) match(patterns []string) []string {
	var found []string
	for path := range g {
		if (path == module || strings.HasPrefix(path, module+"/")) && g.matches(patterns, path) {
			found = append(found, path)
		}
	}
	slices.Sort(found)
	return found
}

func (g graph) matches(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		if pattern == std {
			return g[path].standard || path == "C"
		}
		if rest, local := strings.CutPrefix(pattern, "./"); local {
			pattern = module + "/" + rest
		}
		base, below := strings.CutSuffix(pattern, "/...")
		return path == base || below && strings.HasPrefix(path, base+"/")
	})
}

// short writes a chain as a -> b -> c, without the module's own path.
func short(chain []string) string {
	names := make([]string, len(chain))
	for i, path := range chain {
		names[i] = strings.TrimPrefix(path, module+"/")
	}
	return strings.Join(names, " -> ")
}

func TestImportRulesFindViolations(t *testing.T) {
	t.Parallel()
	g := graph{
		module + "/a":   {imports: []string{"os", module + "/b"}},
		module + "/b":   {imports: []string{"example.com/x"}},
		module + "/c/d": {imports: []string{"os"}},
		"example.com/x": {imports: []string{module + "/c/d"}},
		"os":            {standard: true, imports: []string{"syscall"}},
		"syscall":       {standard: true},
	}
	for name, test := range map[string]struct {
		rule    rule
		planned []string
		want    []string
	}{
		"kept":              {rule: rule{packages: []string{"./c/..."}, banned: []string{"./a"}}},
		"direct":            {rule: rule{packages: []string{"./a"}, banned: []string{"os"}, direct: true}, want: []string{"a -> os: "}},
		"direct, one away":  {rule: rule{packages: []string{"./a"}, banned: []string{"syscall"}, direct: true}},
		"transitive":        {rule: rule{packages: []string{"./a"}, banned: []string{"./c/..."}}, want: []string{"a -> b -> example.com/x -> c/d: "}},
		"not below":         {rule: rule{packages: []string{"./a"}, banned: []string{"./b/..."}}, want: []string{"a -> b: "}},
		"allowed":           {rule: rule{packages: []string{"./c/d"}, allowed: []string{std}}},
		"not allowed":       {rule: rule{packages: []string{"./b"}, allowed: []string{std}, direct: true}, want: []string{"b -> example.com/x: "}},
		"except":            {rule: rule{packages: []string{"./a", "./b"}, except: []string{"./a"}, banned: []string{"os"}, direct: true}},
		"unknown subject":   {rule: rule{packages: []string{"./gone"}}, want: []string{"./gone matches no package, so this rule no longer holds: "}},
		"unknown target":    {rule: rule{packages: []string{"./a"}, banned: []string{"./gone/..."}}, want: []string{"./gone/... matches no package, so this rule no longer holds: "}},
		"planned":           {rule: rule{packages: []string{"./a"}, banned: []string{"./gone/..."}}, planned: []string{"./gone"}},
		"planned and there": {planned: []string{"./c"}, want: []string{"./c exists: take it out of planned"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rules := []rule{test.rule}
			got := slices.Concat(g.unknown(rules, test.planned), g.violations(rules))
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

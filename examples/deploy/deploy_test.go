// Package deploy_test keeps what starts Fray elsewhere true to the program: README.md tells what there is.
package deploy_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	code := 1
	if dir, err := build(); err != nil {
		println(err.Error())
	} else {
		code = m.Run()
		_ = os.RemoveAll(dir)
	}
	if err := goleak.Find(); err != nil {
		println(err.Error())
		code = 1
	}
	os.Exit(code)
}

// program is the fray that these files are to start.
var program string

func build() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "fray-deploy"); err != nil {
		return "", err
	}
	program = filepath.Join(dir, "fray")
	if out, err := exec.CommandContext(context.Background(), "go", "build", "-ldflags=-s -w", "-o", program, "../../cmd/fray").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build fray: %w\n%s", err, out)
	}
	return dir, nil
}

// reporting is how long a worker takes at most to report, once nothing runs there any more: see docs/operations.md.
const reporting = 15 * time.Second

var (
	flag     = regexp.MustCompile(`(?:^|[^\w-])--([a-z][a-z0-9-]+)`)
	flagHelp = regexp.MustCompile(`(?m)^ +(?:-\w, )?--([a-z][a-z0-9-]+)`)
	variable = regexp.MustCompile(`\bFRAY_[A-Z0-9_]+\b`)
	metric   = regexp.MustCompile(`\bfray_[a-z_]+\b`)
)

// ofOthers are options that these files name and that are not Fray's.
var ofOthers = strings.Fields("target build-arg mount platform rm build detach username host now from from-literal set namespace")

// said is what the program has said, by its arguments.
var said sync.Map

// fray returns what the program says.
func fray(t *testing.T, args ...string) string {
	t.Helper()
	key := strings.Join(args, " ")
	if out, ok := said.Load(key); ok {
		return out.(string)
	}
	out, err := exec.CommandContext(t.Context(), program, args...).Output()
	if err != nil {
		t.Fatalf("fray %s: %v", key, err)
	}
	said.Store(key, string(out))
	return string(out)
}

// options are those of a subcommand.
func options(t *testing.T, command string) (names []string) {
	t.Helper()
	for _, m := range flagHelp.FindAllStringSubmatch(fray(t, command, "--help"), -1) {
		names = append(names, m[1])
	}
	if len(names) < 5 {
		t.Fatalf("fray %s --help has %d options: does this test still read it?", command, len(names))
	}
	return names
}

// ours fails unless a command line of fray has a subcommand of it, and none but its options.
func ours(t *testing.T, where string, args []string) {
	t.Helper()
	if len(args) == 0 || !slices.Contains([]string{"controller", "worker", "cluster"}, args[0]) {
		t.Errorf("%s: %q is no command line of fray", where, args)
		return
	}
	known := options(t, args[0])
	for _, arg := range args[1:] {
		if name, ok := strings.CutPrefix(arg, "--"); ok {
			if name, _, _ = strings.Cut(name, "="); !slices.Contains(known, name) {
				t.Errorf("%s: fray %s has no option --%s", where, args[0], name)
			}
		}
	}
}

// standard returns what a duration of the worker is unless it is given.
func standard(t *testing.T, option string) time.Duration {
	t.Helper()
	m := regexp.MustCompile(`(?m)--` + option + ` .*\(default (\w+)\)$`).FindStringSubmatch(fray(t, "worker", "--help"))
	if m == nil {
		t.Fatalf("fray worker --help does not say what --%s is", option)
	}
	d, err := time.ParseDuration(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Files name no option, variable or metric that does not exist.
func TestNamesExist(t *testing.T) {
	t.Parallel()
	known := slices.Concat(options(t, "controller"), options(t, "worker"), options(t, "submit"), ofOthers)
	configuration := fray(t, "help", "configuration")
	documented := read(t, "../../docs/operations.md")
	names := 0
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) == ".go" || filepath.Base(path) == "go.mod" || filepath.Base(path) == "go.sum" {
			return err
		}
		text := read(t, path)
		for _, m := range flag.FindAllStringSubmatch(text, -1) {
			if names++; !slices.Contains(known, m[1]) {
				t.Errorf("%s names --%s, which fray does not have", path, m[1])
			}
		}
		for _, name := range variable.FindAllString(text, -1) {
			if names++; name != "FRAY_TOKEN" && !regexp.MustCompile(`(?m) `+name+`$`).MatchString(configuration) {
				t.Errorf("%s names %s, which fray does not read", path, name)
			}
		}
		for _, name := range metric.FindAllString(text, -1) {
			if names++; !strings.Contains(documented, "`"+name+"`") {
				t.Errorf("%s names %s, which no process has", path, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if names < 100 {
		t.Errorf("the files have %d names: does this test still read them?", names)
	}
}

// The image is built as make release builds, by the Go that go.mod asks for.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	text := strings.ReplaceAll(read(t, "Dockerfile"), "\\\n", " ")
	build := regexp.MustCompile(`GOFLAGS= CGO_ENABLED=0 GOOS=\S+ GOARCH=\S+ go build (.+?)\s+-o `)
	released := build.FindStringSubmatch(strings.ReplaceAll(read(t, "../../Makefile"), "\\\n", " "))
	if built := build.FindStringSubmatch(text); built == nil || released == nil || built[1] != released[1] {
		t.Errorf("go build has %q, and %q in make release", built, released)
	}
	module := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "../../go.mod"))
	if !strings.Contains(text, "GO_IMAGE=golang:"+module[1]+"\n") {
		t.Errorf("it is not built by Go %s", module[1])
	}
	if users := strings.Count(text, "\nUSER 65532:65532\n"); users != 2 {
		t.Errorf("%d of 2 images have a user who is not root", users)
	}
}

// Services run commands of fray, are asked whether they are well where they listen, and have time to end.
func TestCompose(t *testing.T) {
	t.Parallel()
	var file struct {
		Services map[string]struct {
			Image       string
			Command     []string
			Environment map[string]any
			Secrets     []string
			StopGrace   string `yaml:"stop_grace_period"`
			Healthcheck struct{ Test []string }
		}
		Secrets map[string]struct{ File string }
	}
	if err := yaml.Unmarshal([]byte(read(t, "compose.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"controller-1", "controller-2", "worker-1", "worker-2"} {
		s := file.Services[name]
		ours(t, name, s.Command)
		if token := s.Environment["FRAY_TOKEN_FILE"]; token != "/run/secrets/token" || !slices.Contains(s.Secrets, "token") {
			t.Errorf("%s has the secrets %q, and its token in %v", name, s.Secrets, token)
		}
		if strings.HasPrefix(name, "worker") {
			wantTime(t, name, s.StopGrace, standard(t, "drain-grace"))
			if test := strings.Join(s.Healthcheck.Test, " "); s.Environment["FRAY_WORKER_METRICS_LISTEN"] != "0.0.0.0:9464" || !strings.Contains(test, "/9464") || !strings.Contains(test, "/readyz") {
				t.Errorf("%s is not asked where it listens: %s", name, test)
			}
			continue
		}
		ours(t, name+"'s healthcheck", s.Healthcheck.Test[2:])
		if !slices.Contains(s.Command, "--advertise=http://"+name+":7070") || !strings.Contains(s.Environment["FRAY_CONTROLLER_ADDRESS"].(string), "http://"+name+":7070") {
			t.Errorf("%s is not found where it says that it is: %q", name, s.Command)
		}
		for _, secret := range s.Secrets {
			if file.Secrets[secret].File != "./secrets/"+secret || !strings.Contains(read(t, "README.md"), ">secrets/"+secret+"\n") {
				t.Errorf("README.md does not make %s", secret)
			}
		}
	}
}

// wantTime fails unless a process is given as long to end as a worker with a drain grace may take.
func wantTime(t *testing.T, where, given string, drain time.Duration) {
	t.Helper()
	d, err := time.ParseDuration(given)
	if need := drain + standard(t, "stop-grace") + reporting; err != nil || d < need {
		t.Errorf("%s has %q to end, and needs %v", where, given, need)
	}
}

// exposure is what systemd-analyze security, version 252, says of each unit, from 0 (nothing) to 10.
var exposure = map[string]float64{"fray-controller.service": 1.2, "fray-worker@.service": 2.6}

// Systemd takes the units, which are no more exposed than they were, run commands of fray, and give these time to end.
func TestUnits(t *testing.T) {
	t.Parallel()
	units, err := filepath.Glob("systemd/*.service")
	if err != nil || len(units) != len(exposure) {
		t.Fatalf("units: %q, %v", units, err)
	}
	for _, path := range units {
		name, unit := filepath.Base(path), read(t, path)
		command := regexp.MustCompile(`(?m)^ExecStart=/usr/bin/fray (.*)$`).FindStringSubmatch(unit)
		ours(t, name, strings.Fields(command[1]))
		stop := regexp.MustCompile(`(?m)^TimeoutStopSec=(\w+)$`).FindStringSubmatch(unit)
		if strings.Contains(name, "worker") {
			wantTime(t, name, stop[1], standard(t, "drain-grace"))
			if !strings.Contains(unit, "\nKillMode=mixed\n") {
				t.Errorf("%s: systemd would end commands that may go on", name)
			}
		}
		for _, m := range regexp.MustCompile(`(?m)^EnvironmentFile=-?/etc/fray/(.*)$`).FindAllStringSubmatch(unit, -1) {
			for line := range strings.Lines(read(t, "systemd/"+m[1])) {
				if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(key, "#") && value == "" {
					t.Errorf("%s gives %s no value", m[1], key)
				}
			}
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			analyzer, err := exec.LookPath("systemd-analyze")
			if err != nil {
				t.Skip("NOT CHECKED: there is no systemd-analyze")
			}
			// It wants the program to exist, and an instance of a template.
			copied := filepath.Join(t.TempDir(), strings.Replace(name, "@.", "@1.", 1))
			if err := os.WriteFile(copied, []byte(strings.ReplaceAll(unit, "/usr/bin/fray ", program+" ")), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), analyzer, "verify", copied).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("systemd-analyze verify: %v\n%s", err, out)
			}
			out, err := exec.CommandContext(t.Context(), analyzer, "security", "--offline=true", copied).CombinedOutput()
			m := regexp.MustCompile(`Overall exposure level for \S+: ([\d.]+)`).FindSubmatch(out)
			if err != nil || m == nil {
				t.Fatalf("systemd-analyze security: %v\n%s", err, out)
			}
			if got, err := strconv.ParseFloat(string(m[1]), 64); err != nil || got > exposure[name] {
				t.Errorf("exposure is %s, and was %v:\n%s", m[1], exposure[name], out)
			}
		})
	}
}

// The chart's values are what its schema takes, and end workers as the program does.
func TestValues(t *testing.T) {
	t.Parallel()
	schema, err := jsonschema.NewCompiler().Compile("helm/fray/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	document, err := yaml.YAMLToJSON([]byte(read(t, "helm/fray/values.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	values, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(values); err != nil {
		t.Error(err)
	}
	if got, want := fmt.Sprint(at(values, "workers", "drainGraceSeconds")), fmt.Sprint(standard(t, "drain-grace").Seconds()); got != want {
		t.Errorf("the drain grace is %s s, and that of fray worker %s s", got, want)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

package deploy_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/internal/endpoint"
)

// at returns what stands at a path in an object: keys of maps and indices of lists; nil if there is nothing.
func at(value any, path ...any) any {
	for _, step := range path {
		switch s := step.(type) {
		case string:
			m, _ := value.(map[string]any)
			value = m[s]
		case int:
			list, _ := value.([]any)
			if s >= len(list) {
				return nil
			}
			value = list[s]
		}
	}
	return value
}

func text(value any, path ...any) string {
	if value = at(value, path...); value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

func list(value any, path ...any) []any {
	all, _ := at(value, path...).([]any)
	return all
}

// selects says whether a selector has labels, and all of them are an object's.
func selects(selector, labels any) bool {
	want, _ := selector.(map[string]any)
	for key, value := range want {
		if text(labels, key) != fmt.Sprint(value) {
			return false
		}
	}
	return len(want) > 0
}

// named returns the item of a list that has a name, or nil.
func named(items []any, name string) any {
	for _, item := range items {
		if text(item, "name") == name {
			return item
		}
	}
	return nil
}

// What the chart renders hangs together, and starts the program as it wants to be. The files are of the chart as it is.
func TestRendered(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("render/testdata/*.golden.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("rendered: %q, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			head, rest, _ := strings.Cut(read(t, file), "\n---\n")
			if head != "# Rendered of "+sum(t, strings.Replace(file, ".golden.", ".values.", 1)) {
				t.Fatal("the chart has changed since: run make deploy-check UPDATE=1")
			}
			var objects []any
			for document := range strings.SplitSeq(rest, "\n---\n") {
				var object any
				if err := yaml.Unmarshal([]byte(document), &object); err != nil {
					t.Fatal(err)
				}
				objects = append(objects, object)
			}
			r := rendered{t, objects, nil, nil}
			r.workloads()
			r.selectors()
			r.addresses()
		})
	}
}

// rendered is what one file of values gives.
type rendered struct {
	*testing.T

	objects []any
	// Those with pods.
	controllers, workers any
}

// workloads finds what has pods, and looks at these.
func (r *rendered) workloads() {
	for _, object := range r.objects {
		switch text(object, "kind") {
		case "StatefulSet":
			r.controllers = object
		case "Deployment":
			r.workers = object
		default:
			continue
		}
		template := at(object, "spec", "template")
		if !selects(at(object, "spec", "selector", "matchLabels"), at(template, "metadata", "labels")) {
			r.Errorf("%s does not select its pods", text(object, "metadata", "name"))
		}
		r.pod(at(template, "spec"))
	}
	if r.controllers == nil || r.workers == nil {
		r.Fatal("there are no controllers, or no workers")
	}
	if ours(r.T, "controllers", words(at(r.controllers, "spec", "template", "spec", "containers", 0, "args"))); len(list(r.workers, "spec", "template", "spec", "containers", 0, "args")) > 0 {
		ours(r.T, "workers", words(at(r.workers, "spec", "template", "spec", "containers", 0, "args")))
	}
	worker := at(r.workers, "spec", "template", "spec")
	drain, err := time.ParseDuration(text(named(list(worker, "containers", 0, "env"), "FRAY_WORKER_DRAIN_GRACE"), "value"))
	if err != nil {
		r.Error(err)
	}
	wantTime(r.T, "workers", text(worker, "terminationGracePeriodSeconds")+"s", drain)
}

func words(value any) (words []string) {
	for _, word := range list(value) {
		words = append(words, fmt.Sprint(word))
	}
	return words
}

// pod checks that one is restricted, and that its container's probes, ports and files are there.
func (r *rendered) pod(spec any) {
	container := at(spec, "containers", 0)
	name := text(container, "name")
	for _, want := range []struct {
		in    any
		path  []any
		value string
	}{
		{spec, []any{"automountServiceAccountToken"}, "false"},
		{spec, []any{"enableServiceLinks"}, "false"},
		{spec, []any{"securityContext", "runAsNonRoot"}, "true"},
		{spec, []any{"securityContext", "seccompProfile", "type"}, "RuntimeDefault"},
		{container, []any{"securityContext", "allowPrivilegeEscalation"}, "false"},
		{container, []any{"securityContext", "readOnlyRootFilesystem"}, "true"},
		{container, []any{"securityContext", "capabilities", "drop", 0}, "ALL"},
	} {
		if got := text(want.in, want.path...); got != want.value {
			r.Errorf("%s: %v is %q, want %s", name, want.path, got, want.value)
		}
	}
	for _, probe := range []string{"startupProbe", "livenessProbe", "readinessProbe"} {
		get := at(container, probe, "httpGet")
		if get == nil && probe == "startupProbe" && name == "worker" {
			continue
		}
		if path := text(get, "path"); path != access.HealthPath && (path != access.ReadyPath || probe != "readinessProbe") {
			r.Errorf("%s: %s asks %q", name, probe, path)
		}
		if text(get, "port") != "metrics" {
			r.Errorf("%s: %s asks a port that may want a certificate", name, probe)
		}
	}
	settings := words(at(container, "args"))
	for _, variable := range list(container, "env") {
		settings = append(settings, text(variable, "name")+"="+text(variable, "value"))
	}
	for _, port := range list(container, "ports") {
		option := map[string]string{"fray": "listen", "metrics": "metrics-listen"}[text(port, "name")]
		listens := "=0.0.0.0:" + text(port, "containerPort")
		if !slices.Contains(settings, "--"+option+listens) && !slices.Contains(settings, "FRAY_WORKER_METRICS_LISTEN"+listens) {
			r.Errorf("%s does not listen at its port %s", name, text(port, "name"))
		}
	}
	r.files(spec, container, settings)
	if limit := text(named(list(container, "env"), "GOMEMLIMIT"), "value"); limit != "" {
		process, bound := bytesOf(limit), bytesOf(text(container, "resources", "limits", "memory"))
		if process == 0 || process*3 > bound*2 {
			r.Errorf("%s: GOMEMLIMIT is %s, and more than two thirds of what the container has", name, limit)
		}
	}
}

// bytesOf returns what an amount of memory is, as Go or Kubernetes spell it; 0 if it is none.
func bytesOf(amount string) int {
	var n int
	var unit string
	_, _ = fmt.Sscanf(amount, "%d%s", &n, &unit)
	return n << map[string]int{"Ki": 10, "Mi": 20, "Gi": 30}[strings.TrimSuffix(unit, "B")]
}

// files checks that each file that is named is mounted.
func (r *rendered) files(spec, container any, settings []string) {
	for _, setting := range settings {
		_, path, _ := strings.Cut(setting, "=")
		if !strings.HasPrefix(path, "/") {
			continue
		}
		mounted := slices.ContainsFunc(list(container, "volumeMounts"), func(mount any) bool {
			under := text(mount, "mountPath")
			if path != under && !strings.HasPrefix(path, under+"/") {
				return false
			}
			volume := named(slices.Concat(list(spec, "volumes"), []any{map[string]any{"name": "data"}}), text(mount, "name"))
			items := list(volume, "secret", "items")
			return volume != nil && (items == nil || slices.ContainsFunc(items, func(item any) bool {
				return under+"/"+text(item, "path") == path
			}))
		})
		if !mounted {
			r.Errorf("%s: nothing is mounted for %s", text(container, "name"), setting)
		}
	}
}

// selectors checks that whatever selects pods selects some, and names ports that these have.
func (r *rendered) selectors() {
	for _, object := range r.objects {
		kind, name := text(object, "kind"), text(object, "metadata", "name")
		selector := at(object, "spec", map[string]string{"Service": "selector", "NetworkPolicy": "podSelector"}[kind])
		switch kind {
		case "Service":
		case "NetworkPolicy":
			selector = at(selector, "matchLabels")
		case "PodDisruptionBudget", "PodMonitor":
			selector = at(object, "spec", "selector", "matchLabels")
		case "ScaledObject":
			if text(object, "spec", "scaleTargetRef", "name") != text(r.workers, "metadata", "name") || at(r.workers, "spec", "replicas") != nil {
				r.Errorf("%s does not scale the workers, or is not alone in that", name)
			}
			slots := text(named(list(r.workers, "spec", "template", "spec", "containers", 0, "env"), "FRAY_WORKER_SLOTS"), "value")
			if got := text(object, "spec", "triggers", 0, "metadata", "threshold"); got != slots {
				r.Errorf("%s counts on %s slots, and workers have %s", name, got, slots)
			}
			continue
		default:
			continue
		}
		var ports []any
		for _, workload := range []any{r.controllers, r.workers} {
			if template := at(workload, "spec", "template"); selects(selector, at(template, "metadata", "labels")) {
				ports = append(ports, list(template, "spec", "containers", 0, "ports")...)
			}
		}
		if len(ports) == 0 {
			r.Errorf("%s %s selects no pods: %v", kind, name, selector)
		}
		wants := list(object, "spec", "ports")
		for _, rule := range list(object, "spec", "ingress") {
			if wants = append(wants, list(rule, "ports")...); len(list(rule, "from")) == 0 {
				r.Errorf("%s %s lets everybody in", kind, name)
			}
		}
		wants = append(wants, list(object, "spec", "podMetricsEndpoints")...)
		for _, want := range wants {
			port := text(want, "targetPort")
			if kind != "Service" {
				port = text(want, "port")
			}
			if named(ports, port) == nil {
				r.Errorf("%s %s: its pods have no port %q", kind, name, port)
			}
		}
		if path := text(object, "spec", "podMetricsEndpoints", 0, "path"); path != "" && path != access.MetricsPath {
			r.Errorf("%s %s: there is no %s", kind, name, path)
		}
	}
}

// addresses checks that workers are given each controller by the name that it has, and says.
func (r *rendered) addresses() {
	args := words(at(r.controllers, "spec", "template", "spec", "containers", 0, "args"))
	given := text(named(list(r.workers, "spec", "template", "spec", "containers", 0, "env"), "FRAY_CONTROLLER_ADDRESS"), "value")
	parsed, err := endpoint.Parse(given)
	if err != nil || parsed != given {
		r.Fatalf("controllers at %q: %v", given, err)
	}
	scheme := "http"
	if slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--tls-cert=") }) {
		scheme = "https"
	}
	urls := endpoint.List(parsed)
	if text(r.controllers, "spec", "replicas") != fmt.Sprint(len(urls)) {
		r.Errorf("workers know %d controllers: %s", len(urls), given)
	}
	headless := text(r.controllers, "spec", "serviceName")
	for i, url := range urls {
		pod := fmt.Sprintf("%s-%d", text(r.controllers, "metadata", "name"), i)
		if want := fmt.Sprintf("%s://%s.%s.batch.svc:7070", scheme, pod, headless); url != want {
			r.Errorf("a controller at %s, want %s", url, want)
		}
		if len(urls) > 1 && !slices.Contains(args, "--advertise="+strings.Replace(url, pod, "$(POD_NAME)", 1)) {
			r.Errorf("controllers do not say that they are at %s: %q", url, args)
		}
	}
	for _, object := range r.objects {
		// Two names for several, one of which leads anywhere, would be a trap.
		if text(object, "kind") == "Service" && len(urls) > 1 && text(object, "spec", "clusterIP") != "None" {
			r.Errorf("%s leads to controllers that stand by", text(object, "metadata", "name"))
		}
	}
}

// sum is that of the chart and of a file of values; render/chart_test.go computes it in the same way.
func sum(t *testing.T, values string) string {
	t.Helper()
	const dir = "helm/fray"
	hash := sha256.New()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		fmt.Fprintf(hash, "%s\x00%s\x00", filepath.ToSlash(strings.TrimPrefix(path, dir)), read(t, path))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	hash.Write([]byte(read(t, values)))
	return fmt.Sprintf("%x", hash.Sum(nil))
}

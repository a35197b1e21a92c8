// Package render_test checks the files of examples/deploy with the libraries of the tools that read them: helm, docker
// compose, docker build and Kubernetes. It is a module of its own, so that what these need stays out of go.mod.
//
// What helm renders is kept in testdata, where examples/deploy/deploy_test.go looks at it without helm.
// go test . -update writes it anew.
package render_test

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
)

var update = flag.Bool("update", false, "write what is rendered to testdata")

const chartDir = "../helm/fray"

// What the chart renders for each file of values is what testdata has, and what Kubernetes knows: no field is misspelled.
func TestChart(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.values.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("files of values: %q, %v", files, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".values.yaml")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			values := read(t, file)
			objects, err := render(values)
			if err != nil {
				t.Fatal(err)
			}
			for _, object := range objects {
				known(t, object)
			}
			got := []byte("# Rendered of " + sum(t, values) + "\n---\n" + strings.Join(objects, "---\n"))
			golden := filepath.Join("testdata", name+".golden.yaml")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			} else if !bytes.Equal(got, read(t, golden)) {
				t.Errorf("%s is not what the chart renders: run make deploy-check UPDATE=1 and look at the difference", golden)
			}
			var set map[string]any
			if err := yaml.Unmarshal(values, &set); err != nil {
				t.Fatal(err)
			}
			for _, m := range lint.AllWithKubeVersion(chartDir, set, "fray", nil).Messages {
				if m.Severity > support.InfoSev {
					t.Errorf("helm lint: %v", m)
				}
			}
		})
	}
}

// Values that could not work are refused before anything is installed.
func TestValuesAreRefused(t *testing.T) {
	t.Parallel()
	for name, values := range map[string]string{
		"several controllers without a store": "controllers: {replicas: 2}",
		"a password in the URL":               "store: {url: 'postgres://fray:secret@db/fray'}",
		"another database":                    "store: {url: 'mysql://fray@db/fray'}",
		"a misspelled key":                    "workers: {replica: 2}",
		"workers without slots":               "workers: {slots: 0}",
		"no drain grace":                      "workers: {drainGraceSeconds: 0}",
		"more controllers than clients take":  "store: {url: 'postgres://fray@db/fray'}\ncontrollers: {replicas: 17}",
	} {
		if _, err := render([]byte(values)); err == nil || !strings.Contains(err.Error(), "schema") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// render returns the objects that helm would install, in the order of their files.
func render(values []byte) (objects []string, err error) {
	chart, err := loader.Load(chartDir)
	if err != nil {
		return nil, err
	}
	set, err := chartutil.ReadValues(values)
	if err != nil {
		return nil, err
	}
	with, err := chartutil.ToRenderValues(chart, set, chartutil.ReleaseOptions{Name: "fray", Namespace: "batch", IsInstall: true}, nil)
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(chart, with)
	if err != nil {
		return nil, err
	}
	var names []string
	for name := range files {
		if filepath.Ext(name) == ".yaml" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for object := range strings.SplitSeq(files[name], "\n---\n") {
			if object = strings.TrimSpace(object); object != "" {
				objects = append(objects, "# "+name+"\n"+object+"\n")
			}
		}
	}
	return objects, nil
}

// known fails unless Kubernetes takes an object, strictly. Those of the Prometheus Operator and of KEDA it does not know.
func known(t *testing.T, object string) {
	t.Helper()
	var head struct {
		APIVersion string `yaml:"apiVersion"`
	}
	if err := yaml.Unmarshal([]byte(object), &head); err != nil {
		t.Errorf("%v:\n%s", err, object)
		return
	}
	if strings.HasPrefix(head.APIVersion, "keda.sh/") || strings.HasPrefix(head.APIVersion, "monitoring.coreos.com/") {
		return
	}
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	if _, _, err := decoder.Decode([]byte(object), nil, nil); err != nil {
		t.Errorf("%v:\n%s", err, object)
	}
}

// sum is that of the chart and of values; deploy_test.go computes it in the same way.
func sum(t *testing.T, values []byte) string {
	t.Helper()
	hash := sha256.New()
	err := filepath.WalkDir(chartDir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		fmt.Fprintf(hash, "%s\x00%s\x00", filepath.ToSlash(strings.TrimPrefix(path, chartDir)), read(t, path))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	hash.Write(values)
	return fmt.Sprintf("%x", hash.Sum(nil))
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

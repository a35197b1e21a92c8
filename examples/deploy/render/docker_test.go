package render_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// Docker compose takes the file: keys are known, and all that services name is defined.
func TestCompose(t *testing.T) {
	t.Parallel()
	options, err := cli.NewProjectOptions([]string{"../compose.yaml"}, cli.WithProfiles([]string{"*"}), cli.WithConsistency(true), cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, service := range project.Services {
		if name != "client" && service.HealthCheck == nil {
			t.Errorf("%s has no healthcheck", name)
		}
	}
	if len(project.Services) < 6 {
		t.Errorf("services: %v", project.ServiceNames())
	}
}

// Docker build takes the file, and its linter finds nothing.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	parsed, err := parser.Parse(bytes.NewReader(read(t, "../Dockerfile")))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range parsed.Warnings {
		t.Errorf("%v: %s", w.Location, w.Short)
	}
	warn := func(rule, _, _, message string, _ []parser.Range) { t.Errorf("%s: %s", rule, message) }
	stages, _, err := instructions.Parse(parsed.AST, linter.New(&linter.Config{Warn: warn}))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, stage := range stages {
		names = append(names, stage.Name)
	}
	if len(names) != 3 || names[1] != "worker" || names[2] != "fray" {
		t.Errorf("stages: %q", names)
	}
}

// What git knows is in the context: were a file left out, Go would see a changed clone, and the version end in +dirty.
func TestDockerignore(t *testing.T) {
	t.Parallel()
	patterns, err := ignorefile.ReadAll(bytes.NewReader(read(t, "../Dockerfile.dockerignore")))
	if err != nil {
		t.Fatal(err)
	}
	ignored, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	files, err := exec.CommandContext(t.Context(), "git", "-C", "../../..", "ls-files", "-z").Output()
	if err != nil {
		t.Skip("NOT CHECKED: this is no clone")
	}
	for path := range strings.SplitSeq(strings.Trim(string(files), "\x00"), "\x00") {
		if out, err := ignored.MatchesOrParentMatches(path); err != nil || out {
			t.Errorf("%s is left out: %v", path, err)
		}
	}
	for _, path := range []string{"dist/fray-linux-amd64", "bin/fray", "examples/deploy/secrets/token", "sim/cpu.prof"} {
		if out, err := ignored.MatchesOrParentMatches(path); err != nil || !out {
			t.Errorf("%s is in the context: %v", path, err)
		}
	}
}

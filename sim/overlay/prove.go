package overlay

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
)

//go:embed selftest/replay_test.go.txt
var selfTest string

// provenFile stands in the directory of an overlay that has passed its test.
const provenFile = "proven"

// Prove has a toolchain build and run a test with an overlay, unless it has passed that before: goroutines
// that do all that is left to chance come in one order for each seed, on one processor and on many. It
// returns what the test says if not. It takes as long as to compile the standard library once.
func Prove(ctx context.Context, t Toolchain, list string) error {
	mark := filepath.Join(filepath.Dir(list), provenFile)
	if _, err := os.Stat(mark); err == nil {
		return nil
	}
	dir, err := os.MkdirTemp("", "fray-overlay-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // It is a temporary one.
	for name, text := range map[string]string{
		"replay_test.go": selfTest,
		// Functions without bodies need a file of assembly beside them.
		"empty.s": "",
		"go.mod":  "module selftest\n\ngo " + strings.TrimPrefix(oldest, "go") + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(t.Root, "bin", "go"), "test", "-count=1", "-overlay="+list, ".") // The installed go.
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "GOTOOLCHAIN=local", "FRAY_SEED=") //nolint:forbidigo // For the go command.
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("toolchain %s at %s does not follow a seed with the overlay %s: %w\n%s", t.Version, t.Root, list, err, out)
	}
	return renameio.WriteFile(mark, nil, 0o644)
}

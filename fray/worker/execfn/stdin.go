package execfn

import (
	"errors"
	"fmt"
	"os"
)

// openStdin opens the file that is a command's input; nil: it has none.
func (cfg *Config) openStdin(c *Command) (*os.File, error) {
	switch {
	case c.StdinFile == "":
		return nil, nil
	case cfg.OutputDir == "":
		return nil, errors.New("run program: stdin_file is for workers on the client's machine that share a directory with it: send stdin")
	}
	file, err := os.OpenInRoot(cfg.OutputDir, c.StdinFile)
	if err != nil {
		return nil, fmt.Errorf("run program: open its input: %w", err)
	}
	return file, nil
}

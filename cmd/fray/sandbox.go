package main

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/fray/worker/execfn"
	"github.com/frayrpc/fray/internal/command"
)

// sandboxOptions say what the commands that a worker executes see, and what they may do.
type sandboxOptions struct {
	env    []string
	user   string
	allow  []string
	limits execfn.Limits
	cgroup string
}

// What a worker makes of control groups.
const (
	cgroupAuto    = "auto"
	cgroupOff     = "off"
	cgroupRequire = "require"
)

func addSandboxFlags(cmd *cobra.Command, o *sandboxOptions) {
	flags := cmd.Flags()
	flags.Var(&wordsValue{&o.env, checkVariable}, "exec-env", "let commands see these `variables` of the worker, such as CUDA_*, besides the usual few")
	flags.StringVar(&o.user, "exec-user", "", "run commands as this `user`, or USER:GROUP; that takes root")
	flags.Var(&wordsValue{&o.allow, nil}, "exec-allow", "execute these `programs` only: names in PATH, or absolute paths, in which * stands for any name")
	flags.Var(&limitsValue{&o.limits}, "exec-limit", "bound each process of a command: "+strings.Join(execfn.LimitNames, ", ")+", such as memory=2GiB,cpu=10m")
	command.OneOf(cmd.Flags(), &o.cgroup, "exec-cgroup", "", cgroupAuto, "give each command a control group, in which all that it starts ends with it", cgroupAuto, cgroupOff, cgroupRequire)
}

// config returns what a worker runs commands with; and what its owner calls when it has ended.
func (o *sandboxOptions) config(logger *slog.Logger) (execfn.Config, func() error, error) {
	done := func() error { return nil }
	cfg := execfn.Config{PassEnv: o.env, Limits: o.limits, Logger: logger}
	var err error
	if len(o.allow) > 0 {
		if cfg.Programs, err = execfn.NewPrograms(o.allow); err != nil {
			return cfg, nil, command.UsageError("--exec-allow: %w", err)
		}
	}
	if o.user != "" {
		if cfg.User, err = execfn.NewUser(o.user); err != nil {
			return cfg, nil, command.UsageError("--exec-user: %w", err)
		}
	}
	if err := cfg.Check(); err != nil {
		return cfg, nil, command.UsageError("--exec-limit: %w", err)
	}
	if o.cgroup == cgroupOff {
		return cfg, done, nil
	}
	cfg.Cgroup, err = execfn.NewCgroup(o.limits, logger)
	switch {
	case err == nil:
		done = cfg.Cgroup.Close
	case o.cgroup == cgroupRequire:
		return cfg, nil, command.UsageError("--exec-cgroup require: commands cannot have control groups: %w", err)
	default:
		cfg.Cgroup = nil
		logger.Debug("commands have no control groups", "reason", err)
	}
	return cfg, done, nil
}

// wordsValue is a list of texts with commas between them, in one or more uses of its flag.
type wordsValue struct {
	words *[]string
	check func(string) error // nil: all are right
}

func (v *wordsValue) String() string {
	if v.words == nil {
		return ""
	}
	return strings.Join(*v.words, ",")
}

func (*wordsValue) Type() string { return "list" }

func (v *wordsValue) Reset() { *v.words = nil }

// maxWords bounds a list.
const maxWords = 4096

func (v *wordsValue) Set(text string) error {
	if text == "" {
		return nil
	}
	words := strings.Split(text, ",")
	for _, word := range words {
		if word == "" {
			return fmt.Errorf("%q has an empty entry", text)
		}
		if v.check == nil {
			continue
		}
		if err := v.check(word); err != nil {
			return err
		}
	}
	*v.words = append(slices.Clip(*v.words), words...)
	if len(*v.words) > maxWords {
		return fmt.Errorf("there are %d entries; at most %d are allowed", len(*v.words), maxWords)
	}
	return nil
}

// checkVariable refuses what is taken for a variable with its value.
func checkVariable(name string) error {
	if strings.ContainsAny(name, "=\x00") {
		return fmt.Errorf("%q is not the name of a variable: its value is that of the worker", name)
	}
	if name == command.TokenVariable {
		return fmt.Errorf("%s is the secret of the cluster, which no command gets", command.TokenVariable)
	}
	return nil
}

// limitsValue is a list of limits, in one or more uses of its flag.
type limitsValue struct{ limits *execfn.Limits }

func (v *limitsValue) String() string {
	if v.limits == nil {
		return ""
	}
	return v.limits.String()
}

func (*limitsValue) Type() string { return "list" }

func (v *limitsValue) Reset() { *v.limits = nil }

func (v *limitsValue) Set(text string) error {
	if text == "" {
		return nil
	}
	if *v.limits == nil {
		*v.limits = make(execfn.Limits)
	}
	return v.limits.SetAll(text)
}

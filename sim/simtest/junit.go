package simtest

import (
	"context"
	"errors"
	"io"
	"path/filepath"

	"github.com/frayrpc/fray/sim/report"
	"github.com/frayrpc/fray/sim/scenario"
)

// errorCase is the test case of what kept a scenario from running.
const errorCase = "scenario"

// unrun returns a suite of a scenario that did not run, with the error as its only test case.
func (a *App) unrun(called string, err error) *report.Suite {
	suite := report.NewSuite(a.called(called, called))
	suite.AddError(errorCase, kindOf(err), err.Error())
	return suite
}

// kindOf returns the verdict that an error of a command amounts to.
func kindOf(err error) string {
	var known *ExitError
	switch {
	case errors.Is(err, context.Canceled):
		return scenario.VerdictInterrupted
	case errors.As(err, &known) && known.Code == exitInvalid:
		return scenario.VerdictInvalid
	}
	return scenario.VerdictHarness
}

// xmlOf writes the error of a command that runs scenarios as XML, where the user wants that: a CI
// system that gets no document says no more than that there is none. An error about which all has
// been said is not written. It returns the error.
func (a *App) xmlOf(o *runOptions, called string, err error) error {
	var known *ExitError
	if err == nil || o.format != formatJUnit || o.xmlTold || errors.As(err, &known) && known.Err == nil {
		return err
	}
	return errors.Join(err, report.WriteSuites(a.Stdout, a.unrun(called, err)))
}

// refused is refuse for the one scenario, or the names, that an error is about.
func (a *App) refused(o *runOptions, called string, err error) error {
	return a.refuse(o, err, a.unrun(called, err))
}

// refuse writes the XML of scenarios that are invalid, of which none ran, to --out and where else
// the user wants it, and returns the error.
func (a *App) refuse(o *runOptions, err error, suites ...*report.Suite) error {
	out, openErr := openOutputs(o.out)
	if openErr == nil && out != nil {
		openErr = out.saveXML(suites...)
	}
	if o.format == formatJUnit {
		openErr = errors.Join(openErr, report.WriteSuites(a.Stdout, suites...))
	}
	if openErr != nil {
		err = errors.Join(err, openErr)
	}
	return &ExitError{Code: exitInvalid, Err: err}
}

// saveXML writes the XML of the directory.
func (o *output) saveXML(suites ...*report.Suite) error {
	return writeFile(filepath.Join(o.dir, fileJUnit), func(w io.Writer) error { return report.WriteSuites(w, suites...) })
}

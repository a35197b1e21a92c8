// Package mapplan says which commands a line of fray map stands for: it takes the words of that line and
// what its sources have, and yields one [Job] after the other. It starts nothing.
//
//	line, err := mapplan.Split([]string{"cp", "{}", "{}.bak", ":::", "one", "two"})
//	template := mapplan.ParseTemplate(line.Command, "")
//	for job, err := range mapplan.Jobs(line.Sources, mapplan.Options{...}) {
//		template.Expand(job.Args, job.Number, "") // cp one one.bak, cp two two.bak
//
// A source is a list of values: those after ":::", or the lines of a file. Sources are combined, each
// value of one with each of the next, or linked, the first of one with the first of the next. What comes
// of that is a row of arguments; a job has one row, or several with Options.PerJob. A [Template] is the
// command, into whose replacement strings the arguments of a job are put.
//
// Where xargs and GNU parallel have a word for something, so has this package, and it means the same.
package mapplan

package faults

// Drop loses what passes: the caller sees nothing until its own deadline. A message of a stream
// goes missing. It ends the call.
const Drop Kind = "drop"

type dropKind struct{ plain }

func (dropKind) kind() Kind { return Drop }

func (dropKind) act(m *meeting) { m.outcome.ending = lost }

func (dropKind) pass(m *meeting) { m.lose() }

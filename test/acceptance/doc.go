// Package acceptance holds tests of the real programs: they are built, started
// as processes with real files, a real NATS server and real HTTP servers on the
// loopback interface, and ended by signals. Tests are named after the checks
// they make: T of docs/spec/interfaces.md §11, P of docs/spec/correlation.md §13.3. D in
// comments are the defects of the references, docs/spec/interfaces.md §10.
//
// There is nothing else in it.
package acceptance

// Package route decides where a request goes and what it demands of its
// caller.
//
// A Table is compiled once from definitions and never changes; a reload makes
// another one. Every request takes two steps:
//
//	CheckTarget   refuses each target that two parsers could read differently
//	Table.Match   finds the one route of a checked path, or what is missing
//
// What is promised:
//
//   - The path that was matched is byte for byte the path that CheckTarget
//     returned, and Route.ForwardPath changes no byte behind the prefix it takes
//     off. Segments are compared as every decoder reads them, so an escaped
//     spelling cannot reach a weaker route.
//   - The pattern that is most specific decides alone: the built-in routes of
//     the gateway over all others, a host over *.name over none, an exact path over one
//     with parameters over a prefix, a longer prefix over a shorter. A method
//     never moves a request to a weaker pattern; it is refused with 405.
//   - A match allocates nothing.
//
// What is refused: a table with any doubt in it. A route that does not say who
// may use it, names an unknown upstream, says something twice or takes the
// path of a built-in route is a problem, and all problems are reported at once
// with their places.
package route

// Package routefile reads the route files: YAML, a file or a folder per team,
// together with the routes that come with the gateway.
//
// It promises that every problem in all files is reported at once with file,
// line and column; that a set of files with any problem never replaces a good
// table, which goes on serving; and that a change is picked up without a
// restart, by notification and, where that fails, by looking every few
// seconds.
//
// It refuses unknown and repeated keys, values of another type, aliases, more
// than one document in a file, and a file without any: a route that does not
// say exactly what its author meant is worse than none, and an empty file is
// most often one that is still being written. Routes go when their file does.
package routefile

//go:build race

package auth_test

// crowd is how many callers come at once where many must: fewer under the race
// detector, which is slow.
const crowd = 200

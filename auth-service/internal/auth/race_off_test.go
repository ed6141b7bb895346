//go:build !race

package auth_test

// crowd is how many callers come at once where many must.
const crowd = 1000

package route

// CompareWithin is Compare with a bound of the test's choosing.
var CompareWithin = compareWithin

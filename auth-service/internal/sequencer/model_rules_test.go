package sequencer

// rules are the protocol's rules that a sabotage takes out, each with a shrunken
// script that breaks the property without it.
var rules = []struct {
	name     string
	sabotage sabotage
	script   []op
}{
	{"the gap check", sabotage{noGapCheck: true}, []op{
		{"commit", 1, 16, 5}, {"calm", 27, 0, 12}, {"crash node", 7, 26, 29}, {"wait", 3, 23, 3},
		{"commit late", 1, 1, 19}, {"calm", 11, 0, 1},
	}},
	{"the echo of nonces", sabotage{noEcho: true}, []op{
		{"work", 19, 0, 3}, {"commit late", 3, 0, 20}, {"wait", 8, 1, 30}, {"report", 7, 4, 16},
		{"again", 14, 3, 4},
	}},
	{"the uniqueness of nonces", sabotage{reusedNonces: true}, []op{
		{"commit", 10, 15, 12}, {"step", 12, 7, 0}, {"step", 14, 22, 1}, {"deliver all", 3, 29, 23},
		{"work", 0, 20, 2}, {"crash node", 11, 1, 4}, {"commit", 14, 3, 0}, {"calm", 31, 29, 4},
		{"crash node", 12, 29, 1}, {"step", 3, 0, 17}, {"calm", 1, 1, 1},
	}},
	{"nonces before the database", sabotage{lateNonces: true}, []op{
		{"step", 0, 25, 1}, {"commit late", 26, 7, 6}, {"work", 0, 0, 1}, {"work", 15, 3, 0},
		{"step", 2, 1, 0}, {"step", 29, 27, 5}, {"commit", 13, 28, 23}, {"wait", 1, 0, 12},
		{"work", 3, 0, 1}, {"calm", 5, 18, 0}, {"step", 1, 25, 3}, {"deliver all", 4, 15, 11},
	}},
	{"redis's clock before the round", sabotage{lateRedisTime: true}, []op{
		{"commit", 9, 6, 31}, {"commit", 0, 5, 7}, {"commit", 0, 13, 4}, {"commit", 2, 10, 16},
		{"commit", 6, 3, 1}, {"commit", 17, 10, 10}, {"commit late", 1, 3, 16}, {"commit late", 31, 6, 21},
		{"work", 31, 20, 26}, {"commit", 0, 0, 12}, {"commit", 2, 30, 14}, {"work", 13, 10, 8},
		{"step", 27, 13, 1}, {"commit late", 0, 31, 2}, {"commit", 6, 0, 18}, {"commit", 1, 8, 30},
		{"calm", 16, 22, 30}, {"work", 1, 24, 2}, {"commit late", 7, 0, 17}, {"calm", 3, 31, 0},
		{"step", 1, 26, 27}, {"step", 1, 14, 23}, {"commit late", 8, 30, 3}, {"work", 15, 6, 30},
	}},
	{"an epoch for each incarnation", sabotage{hiddenRestore: true}, []op{
		{"commit", 29, 0, 1}, {"work", 9, 8, 23}, {"restore", 26, 24, 26}, {"commit late", 21, 0, 14},
		{"step", 1, 28, 1}, {"work", 31, 0, 15},
	}},
	{"versions that follow the epoch", sabotage{sameVersions: true}, lostVersion},
	{"versions above the lost ones before an epoch is open", sabotage{lateVersions: true}, lostVersion},
	{"versions above the lost ones, for whoever knows what was lost", sabotage{sameVersions: true}, []op{
		{"raise", 3, 6, 26}, {"work", 19, 0, 3}, {"step", 23, 8, 5}, {"restore", 13, 7, 29}, {"deliver all", 28, 24, 8}, {"sign in", 9, 0, 16},
	}},
}

// lostVersion has a user get a token after a change that the database then
// loses, and after that the same change again.
var lostVersion = []op{
	{"raise", 0, 0, 0}, {"sign in", 0, 0, 0}, {"restore", 0, 0, 0}, {"raise", 0, 0, 0}, {"wait", 1, 0, 0}, {"calm", 0, 0, 0},
}

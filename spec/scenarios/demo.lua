-- demo crashes at once, again and again, until its restarts are used up.
return {
  lasts = "7d",
  processes = { main = { { runs = 3, exit = 1, repeats = true } } },
}

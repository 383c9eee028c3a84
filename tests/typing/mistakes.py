"""Ten mistakes, one in each line that says so: a type checker finds every one."""

import dtrain
from dtrain import nn, optim

x = dtrain.randn(4, 3)
model = nn.Linear(3, 2)
dtrain.ad(x, x)  # wrong: a function's name
x.summ()  # wrong: a method's name
optim.Adamm(model.parameters())  # wrong: an optimizer's name
optim.SGD(model.parameters(), lr=0.1, momentun=0.9)  # wrong: an option's name
optim.SGD(model.parameters(), lr="0.1")  # wrong: a string for a number
nn.Linear(3)  # wrong: a missing argument
nn.functional.cross_entropy(x, x, reductoin="sum")  # wrong: a keyword's name
x["first"]  # wrong: a string as an index
dtrain.add(x, "1")  # wrong: a string for a tensor
x.reshape("2", "6")  # wrong: strings for sizes

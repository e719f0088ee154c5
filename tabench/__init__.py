"""tabench: does adapting SAM to several dense tasks work, and can it be reproduced?"""

__version__ = "0.1.0"
